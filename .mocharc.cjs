// `npx mocha` runs the unit tests; with files it runs those alone, as mocha would add them to a spec that stands here.
const names = process.argv.slice(2).filter((word) => !word.startsWith('-'));
module.exports = names.length > 0 ? {} : { spec: ['dist/test/unit/**/*.test.js'] };
