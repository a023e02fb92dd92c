import { randomSuite } from '../suites/random-suite.js';

randomSuite('library');
