import { hashSuite } from '../suites/hash-suite.js';

hashSuite('library');
