# Thin front to Meson. `make demo`, `make test` and `make install` install what they need first.
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
MODEL   ?=
FILE    ?=
LINES   ?=
SUITE   ?= trixie
ROOT    ?= $(BUILD)/debian-$(SUITE)
WHAT    ?= demo test
MESON_ARGS ?=
FUZZ_SECONDS ?= 30
SEEDS   ?= 1000
KILLS   ?= 1000
SANITIZED = --suite unit --suite sim --print-errorlogs --num-processes 2
TEST = meson test -C $(BUILD) --print-errorlogs --num-processes 2

.PHONY: all deps deps-demo demo test check asan tsan fuzz sim sim-full sim-dht e2e lab lab-full kills test-debian13 mutate bench fmt lint install deb arm64 clean help

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

help:
	@sed -n 's/^## //p' Makefile

$(BUILD)/build.ninja:
	@mkdir -p $(BUILD)
	@meson setup $(BUILD) $(MESON_ARGS) >$(BUILD)/setup.log 2>&1 || { cat $(BUILD)/setup.log; exit 1; }

deps:
	@tools/install-deps

deps-demo:
	@tools/install-deps building tests

## make demo [MODEL=gemma]  install, build, and run the main job between two homes behind NATs
demo: deps-demo all
	@tools/demo $(if $(MODEL),--model $(MODEL))

## make test     install, build, and run every test
test: deps all
	@tools/run-tests $(BUILD) unit sim e2e lab

## make check    unit tests and the simulator, on what is installed already
check: all
	@tools/run-tests $(BUILD) unit sim

## make sim      the seeded simulator alone (SIM_SEED=n replays one seed)
sim: all
	@tools/run-tests $(BUILD) sim

## make sim-full [SEEDS=1000]  every scene of the simulator with so many new seeds; prints every seed that fails
sim-full: all
	@tools/sim-seeds $(BUILD) $(SEEDS)

## make e2e      the real binaries on loopback
e2e: all
	@tools/run-tests $(BUILD) e2e

## make lab      the real binaries in network namespaces behind real NATs
lab: all
	@tools/run-tests $(BUILD) lab

## make lab-full 100 tries of every pair of NATs and the long outages; prints the tables of docs/performance.md
lab-full: all
	@tests/lab/test_matrix.py $(BUILD) --tries 100
	@LAB_FULL=1 tests/lab/test_outages.py $(BUILD)

## make kills [KILLS=1000]  kills the store, and two nodes that pay each other, with kill -9 so often; looks for what was acknowledged
kills: all
	@TEALE_KILLS=$(KILLS) $(BUILD)/tests/unit/store/test_store_kill
	@tests/e2e/test_wallet_kills.py $(BUILD)/src/teale $(BUILD)/src/teale-relay $(BUILD)/tests/programs/parrot $(KILLS)

## make test-debian13 [SUITE=bookworm] [ROOT=folder] [WHAT="demo check"]  make demo and make test on a Debian of its own (root)
test-debian13:
	@tools/test-debian $(SUITE) $(ROOT) $(WHAT)

## make sim-dht [NODES=100000]  the great world of the DHT with so many nodes (30 kB of memory each), and its line of figures in build/dht.csv
sim-dht: all
	@DHT_NODES=$(or $(NODES),100000) DHT_OUT=$(BUILD)/dht.csv SIM_SCENE="ten thousand nodes find 999 of 1000" $(BUILD)/tests/sim/sim_dht

## make asan     unit tests, a third of the simulator's seeds, and attacks, under the address, leak and undefined-behaviour sanitizers
asan:
	@# gcc takes what its sanitizers insert for mistakes of the code
	@[ -d build-asan ] || meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false \
		-Dc_args='-Wno-array-bounds -Wno-format-overflow -Wno-stringop-overflow -Wno-stringop-overread' >/dev/null
	@ninja -C build-asan
	@SIM_PART=$${SIM_PART:-3} UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 tools/run-tests build-asan unit sim attacks

## make tsan     unit tests of the rooms that may have threads, under the thread sanitizer
tsan:
	@[ -d build-tsan ] || meson setup build-tsan -Db_sanitize=thread -Db_lundef=false >/dev/null
	@tools/run-tests build-tsan threads

## make fuzz     every fuzz target for FUZZ_SECONDS (30) seconds
fuzz:
	@# clang looks into the macros of the kernel's headers
	@[ -d build-fuzz ] || CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
		-Dc_args=-Wno-cast-qual >/dev/null
	@ninja -C build-fuzz fuzz-programs
	@tools/fuzz build-fuzz $(FUZZ_SECONDS)

## make mutate FILE=src/ROOM/NAME.c [LINES=10-40,57]  which changes of an operator do the room's unit tests not notice?
mutate:
	@tools/mutate $(if $(LINES),--lines $(LINES)) "$(FILE)"

## make bench    the numbers of docs/performance.md, each beside its peer in the same run
bench: all
	@tools/bench $(BUILD)

## make fmt      format every source
fmt:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

## make lint     formatting, layers, sizes, named files, names of symbols, clang-tidy, manual pages, shell scripts
lint: all
	@tools/lint $(BUILD)

## make install  install what building needs, build the programs alone, and install them: DESTDIR= PREFIX=/usr/local
install:
	@tools/install-deps building
	@tools/install "$(PREFIX)" "$(DESTDIR)" $(MESON_ARGS)

## make deb      the Debian packages teale, teale-relay and teale-doc, in build/deb; lintian finds nothing in them
deb:
	@tools/install-deps building packaging
	@tools/deb $(BUILD)/deb

## make arm64 [ROOT=folder]  cross compiles to 64-bit ARM on a Debian of its own, and runs the unit tests under QEMU (root)
arm64:
	@tools/arm64 $(or $(filter-out $(BUILD)/debian-$(SUITE),$(ROOT)),$(BUILD)/debian-arm64)

clean:
	rm -rf build build-asan build-tsan build-fuzz build-install build-mutate
