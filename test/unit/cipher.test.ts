import { cipherSuite } from '../suites/cipher-suite.js';

cipherSuite('library');
