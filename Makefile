# Every step of CI is a target here. The modules are built together through go.work.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN     := $(CURDIR)/.bin
export CGO_ENABLED ?= 0

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the tool into .bin/zerobus
	@mkdir -p $(BIN)
	go build -o $(BIN)/zerobus ./server/cmd/zerobus

.PHONY: demo
demo: build ## the whole path in one command: real flights into a Delta table, read back
	$(BIN)/zerobus demo

.PHONY: test
test: ## all tests, with the race detector
	@if command -v $$(go env CC) >/dev/null; then set -x; CGO_ENABLED=1 go test -race -timeout 15m ./... ./server/... ./bench/...; \
	  go test -short . ./internal/...; \
	  else echo "no C compiler, which the race detector needs on this platform: testing without it"; set -x; go test -timeout 15m ./... ./server/... ./bench/...; fi

# Each test says in one line what it found; both lines stand at the end again.
RUNS ?= 5000
SEED ?= 1
.PHONY: crash
crash: ## seeded crashes of the log and of the whole path to the tables: make crash RUNS=5000 SEED=1
	@mkdir -p $(BIN)
	go test -count 1 -timeout 0 -v -run '^TestCrash_NothingKnownIsEverLost$$' ./server/internal/wal -wal.crashes $(RUNS) -wal.seed $(SEED) | tee $(BIN)/crash.log
	go test -count 1 -timeout 0 -v -run '^TestCrash_DT07_EveryStepOfLogAndTable$$' ./server/internal/table -table.crashes $(RUNS) -table.seed $(SEED) | tee -a $(BIN)/crash.log
	go test -count 1 -timeout 0 -run '^TestCrash_LocalAtEveryStep$$' ./server/internal/lake -lake.crashes $(RUNS) -lake.seed $(SEED)
	@sed -n -E 's/.* ([0-9]+ runs, [0-9]+ known, 0 lost)$$/log alone: \1/p; /^[0-9]+ runs, .* 0 doubled$$/p' $(BIN)/crash.log

# BLACKBOX has further flags, such as BLACKBOX='-producers=false -rate 0'; go run ./server/internal/blackbox -h lists them.
KILLS ?= 100
TERMS ?= 20
FULL  ?= 5
.PHONY: blackbox
blackbox: build ## the real server killed, ended and out of disk under load: make blackbox KILLS=100 TERMS=20 FULL=5 SEED=1
	@./interop/venv
	@go build -o $(BIN)/blackbox ./server/internal/blackbox
	$(BIN)/blackbox -bin $(BIN)/zerobus -kills $(KILLS) -terms $(TERMS) -full $(FULL) -seed $(SEED) $(BLACKBOX)

# HOSTILE has flags, such as HOSTILE='-only tokens'; go run ./server/internal/hostile -h lists them.
.PHONY: hostile
hostile: build ## the real server attacked in every layer, beside a load that must go on: make hostile HOSTILE='-only http2'
	@go build -o $(BIN)/hostile ./server/internal/hostile
	$(BIN)/hostile -bin $(BIN)/zerobus $(HOSTILE)

FUZZTIME ?= 10m
FUZZ     ?= .
.PHONY: fuzz
fuzz: ## every fuzz target in turn: make fuzz FUZZTIME=10m FUZZ=server/internal/wal
	./tools/fuzz $(FUZZTIME) '$(FUZZ)'

.PHONY: vuln
vuln: $(BIN)/govulncheck ## known vulnerabilities that our code reaches; VULNDB is another database, such as file:///srv/vulndb
	@cd tools && GOWORK=off go test ./... && GOWORK=off go build -o $(BIN)/vulncheck ./vulncheck
	@$(BIN)/vulncheck ./... ./server/... ./bench/...

.PHONY: lint
lint: $(BIN)/staticcheck $(BIN)/gofumpt ## format, vet, static analysis, tidy modules
	@bad=$$($(BIN)/gofumpt -l $$(git ls-files '*.go' ':!:*.pb.go')); \
	  if [ -n "$$bad" ]; then echo "not gofumpt-ed (run make fmt):"; echo "$$bad"; exit 1; fi
	go vet ./... ./server/... ./bench/...
	$(BIN)/staticcheck ./... ./server/... ./bench/...
	./tools/tidy -check

.PHONY: fmt
fmt: $(BIN)/gofumpt ## format the code
	$(BIN)/gofumpt -w $$(git ls-files '*.go' ':!:*.pb.go')

# The tools are a module of their own, so that their dependencies are not ours.
$(BIN)/staticcheck: tools/go.mod tools/go.sum
	cd tools && GOWORK=off go build -o $@ honnef.co/go/tools/cmd/staticcheck
$(BIN)/gofumpt: tools/go.mod tools/go.sum
	cd tools && GOWORK=off go build -o $@ mvdan.cc/gofumpt
$(BIN)/govulncheck: tools/go.mod tools/go.sum
	cd tools && GOWORK=off go build -o $@ golang.org/x/vuln/cmd/govulncheck

.PHONY: tidy
tidy: ## tidy the go.mod files
	./tools/tidy

.PHONY: cross
cross: ## build the SDK and the tool for every supported platform
	./tools/cross

# A case that fails is repeated with the seed that it tells: make property CASES=1 SEED=…
CASES ?= 2000
.PHONY: property
property: ## random tables and rows through the whole server, read back by delta-rs: make property CASES=2000 SEED=1
	@./interop/venv
	@mkdir -p $(BIN) interop/.out
	@go build -o $(BIN)/property ./server/internal/property
	@rm -rf interop/.out/property
	@$(BIN)/property -cases $(CASES) -seed $(SEED) -dir interop/.out/property
	@PYTHONDONTWRITEBYTECODE=1 interop/.venv/bin/python interop/property.py interop/.out/property

.PHONY: interop
interop: build ## other people's clients and readers against our server (installs Python packages into interop/)
	@go build -o $(BIN)/property ./server/internal/property
	./interop/run
	./interop/sdks/run quick

.PHONY: interop-spark
interop-spark: build ## Spark with Delta Lake reads our tables and writes beside us (installs a Spark into interop/); PARTS='tables logs' runs these
	./interop/spark/run $(PARTS)

.PHONY: interop-sdks
interop-sdks: build ## published packages of the official SDKs against our server; ONLY='java rust' runs these languages
	./interop/sdks/run $(ONLY)

.PHONY: bench
bench: ## benchmarks of both modules, short
	go test -run '^$$' -bench . -benchmem -benchtime 300ms ./... ./server/...

.PHONY: bench-client
bench-client: ## the SDK against a common client: tables and plots into bench/results; QUICK=1 prints one line of JSON
	@go build -o $(BIN)/bench-client ./bench/client
	@$(BIN)/bench-client $(if $(QUICK),-quick,-out bench/results)

# A group alone, such as GROUP=latency; FLIGHTS names the Parquet file of the group flights. .bin/bench-server -help has more.
.PHONY: bench-server
bench-server: ## the server, decoder to table: results into bench/results, GROUP=… for some; QUICK=1 prints one line of JSON
	@go build -o $(BIN)/bench-server ./bench/server
	@go build -o $(BIN)/ ./server/cmd/zerobus ./server/internal/decodebench ./server/internal/commits
	@$(BIN)/bench-server -bin .bin $(if $(QUICK),-quick,$(if $(GROUP),-group '^($(GROUP))$$') $(if $(FLIGHTS),-flights '$(FLIGHTS)') -out bench/results)

.PHONY: bench-groupcommit
bench-groupcommit: ## group commit: records and syncs a second by streams, with table and plot into bench/results
	@go build -o $(BIN)/bench-durability ./bench/durability
	@$(BIN)/bench-durability groupcommit -dir bench/.out -out bench/results

.PHONY: bench-commits
bench-commits: ## 5,000 commits on one table: latency, size of the log and opening, with plot into bench/results
	@go build -o $(BIN)/bench-durability ./bench/durability
	@$(BIN)/bench-durability commits -dir bench/.out -out bench/results

FOR ?= 20m
.PHONY: soak
soak: ## high load, then what is left of memory, log, files and goroutines: make soak FOR=20m
	@go build -o $(BIN)/bench-durability ./bench/durability
	@$(BIN)/bench-durability soak -for $(FOR) -dir bench/.out -out bench/results

.PHONY: ci
ci: demo test lint vuln cross interop ## what CI runs
