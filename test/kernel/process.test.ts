import { processSuite } from '../suites/process-suite.js';

processSuite('kernel');
