import { lifecycleSuite } from '../suites/lifecycle-suite.js';

lifecycleSuite('kernel', ['lanes', 'aio']);
