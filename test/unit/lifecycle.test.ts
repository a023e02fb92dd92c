import { lifecycleSuite } from '../suites/lifecycle-suite.js';

lifecycleSuite('library', ['sync', 'lanes']);
