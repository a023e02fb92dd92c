import { hashSuite } from '../suites/hash-suite.js';

hashSuite('kernel');
