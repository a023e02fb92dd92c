import { lifecycleSuite } from '../suites/lifecycle-suite.js';

// That lanes end well is the library's suite, outside the lab, where starting processes takes a fraction of the time.
lifecycleSuite('kernel', ['aio']);
