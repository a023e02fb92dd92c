# dmalg: the front door. `make help` lists what it does.

NODE_PREFIX := $(shell node -p "require('node:path').resolve(process.execPath, '../..')")
# Node's own headers where they came with it; otherwise node-gyp fetches them.
NODEDIR := $(if $(wildcard $(NODE_PREFIX)/include/node/node_api.h),--nodedir=$(NODE_PREFIX))
# nodedir is node-gyp's setting; npm complains of it where it is set for both.
# `install`, not `ci`: the lock file has no entries for platforms that the registry at hand does not carry, and ci insists.
# No package's install script is needed: argon2's would compile an addon of its own.
NPM := npm --loglevel=error
DMALG := node dist/lib/cli/main.js
SOURCES := $(shell find lib npm test -name '*.ts' -o -name '*.json')
NATIVE := $(wildcard native/*.cc native/*.h) binding.gyp
C_CODE := $(filter %.cc %.h,$(NATIVE)) $(wildcard test/bench/*.c test/hard/*.c test/hard/*.cc)

.PHONY: help setup build run test test-whole check unit bench docs asan hard mutants package cross format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  %-10s %s\n", $$1, $$2}'

setup: node_modules/.package-lock.json ## install what is missing: Debian packages (as root; otherwise says what to type), npm packages
	@test/support/setup.sh

node_modules/.package-lock.json: package.json package-lock.json
	@test/support/setup.sh
	$(NPM) install --ignore-scripts
	@touch $@

build: build/Release/dmalg.node dist/.built dist/dmalg.1 ## compile the addon and the TypeScript, write the manual page

build/Release/dmalg.node: $(NATIVE) node_modules/.package-lock.json
	npx node-gyp rebuild $(NODEDIR) --loglevel=error
	@touch $@

# What has been compiled from files that are gone would be run, and packed.
dist/.built: $(SOURCES) tsconfig.json node_modules/.package-lock.json
	rm -rf dist/lib dist/cjs dist/npm dist/test
	npx tsc -p .
	node dist/npm/cjs-types.js
	@touch $@

dist/dmalg.1: dist/.built build/Release/dmalg.node package.json
	$(DMALG) man > $@.part
	mv $@.part $@

run: setup build ## print the table of `dmalg compare iv`, measured in the test kernel
	$(DMALG) compare iv --in-lab

test: setup build ## the tests: on this host, and in the test kernels a sample of each list of cases
	node dist/test/run.js

test-whole: setup build ## every test, in the test kernels too: for a release, or after a change to what talks to the kernel
	node dist/test/run.js --whole

check: build unit ## types, lint, format, unit tests
	npx biome check lib npm test tsconfig.json biome.json
	clang-format --dry-run -Werror $(C_CODE)

unit: build
	npx mocha 'dist/test/unit/**/*.test.js'

bench: setup build ## the figures of test/bench/RESULTS.md, here and in the test kernel (wants fio, nbdcopy, nbdkit, openssl, time, veritysetup)
	$(CC) -O2 -Wall -o dist/test/bench/syscall-loop test/bench/syscall-loop.c
	node dist/test/bench/crypt.js
	node dist/test/bench/verity.js
	node dist/test/bench/nbd.js
	$(DMALG) lab --kernel aio -- node dist/test/bench/alg.js
	$(DMALG) lab --kernel current -- node dist/test/bench/dm.js

# typedoc does not know TypeScript 7 yet: it has another one of its own.
docs: node_modules/.package-lock.json ## the reference of the API: docs/api/index.html
	npx --yes -p typedoc@0.28.20 -p typescript@6.0.3 typedoc --options docs/typedoc.json

asan: setup build ## unit and kernel tests under AddressSanitizer and UBSan
	test/support/asan.sh $(NODEDIR)

hard: setup build asan ## `make asan`, and what goes wrong, on purpose: kills, failing calls, full disks, little memory, many bios: SEED=N, HARD_SECONDS=N
	$(CC) -shared -fPIC -O1 -Wall -Wextra -o dist/test/hard/fault.so test/hard/fault.c
	test/hard/fuzz.sh
	node --expose-gc node_modules/mocha/bin/mocha.js 'dist/test/hard/*.test.js'

mutants: setup build ## wrong changes, one at a time, in a copy: which of them the tests notice; an hour
	node dist/test/mutants/run.js $(NODEDIR)

package: setup build ## the npm packages, in dist/packages, and their sizes; for arm64 too after `make cross`
	node dist/npm/pack.js

cross: setup ## the addon for arm64, in build-arm64 (wants g++-aarch64-linux-gnu)
	npm/cross-arm64.sh $(NODEDIR)

format: ## put all code into the one format
	npx biome check --write lib npm test tsconfig.json biome.json
	clang-format -i $(C_CODE)

clean: ## remove what was built (not the cached kernels: ~/.cache/dmalg)
	rm -rf build build-asan build-arm64 dist docs/api
