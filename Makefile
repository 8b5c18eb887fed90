# What a contributor types. `make check` is what has to hold before a change lands.
.PHONY: build test race check fmt generate fuzz bench soak promises hunt laws attacks attacks-local seeds floods eclipse figures

build:
	go build -trimpath -o grapevine ./cmd/grapevine

test:
	go test ./...

race:
	go test -race -short ./...

check:
	bash .ci/run

fmt:
	go tool -modfile=tools/go.mod gofumpt -w $$(git ls-files '*.go' | grep -v '\.pb\.go$$')

generate:
	bash wire/generate.sh

# Every fuzz target of the repository, FUZZTIME each, and its executions;
# FUZZ=Frame runs those of that name only.
FUZZTIME ?= 30s
fuzz:
	FUZZTIME=$(FUZZTIME) FUZZ=$(FUZZ) bash .ci/fuzz

bench:
	go test -run '^$$' -bench . -benchmem ./wire ./validation/... ./mempool ./peerscore ./node ./overlay/...

# The laws of scores over 10,000 random traces each.
laws:
	go test ./peerscore -run TestLaw -timeout 20m -rapid.checks 10000

# The long form of the random tests: many more cases of every property, and
# repeated runs of the tests over real processes.
soak:
	go test ./wire ./validation/... ./mempool ./peerscore -timeout 4h -rapid.checks 10000
	go test ./peerscore -run TestLaw -timeout 12h -rapid.checks 1000000
	go test ./mempool -run AgainstNaive -timeout 4h -rapid.checks 1000000
	GRAPEVINE_SOAK=1 go test -timeout 2h -count 1 -run 'Crash|Write|Damaged|Disk' -v ./node ./node/store
	GRAPEVINE_SOAK=1 go test -timeout 4h -count 1 -run 'Kill' -v ./cmd/grapevine
	GRAPEVINE_SEEDS=10000 go test -timeout 2h -count 1 -run 'EclipseByRestart' ./overlay/dial
	GRAPEVINE_SOAK=20 go test -timeout 4h -count 1 -run 'DeathIsKnown|NoFalseDeaths' ./overlay/member

# Every shipped scenario that promises something, of the worlds sim and core, one after the other:
# hours. SCENARIOS="smoke attack-dawn" runs those only; OUT=folder keeps the reports. Goes on after
# a promise that is broken, and fails in the end.
promises: build
	OUT=$(OUT) docs/figures/promises.sh $(SCENARIOS)

# The simulations of the pure packages under HUNTS seeds each: bounds that hold
# for all but one in a hundred make a gate that fails by luck.
HUNTS ?= 100
hunt:
	go test -count $(HUNTS) -timeout 4h ./overlay/compact ./overlay/dial ./overlay/fetch ./overlay/member \
		./overlay/recon ./overlay/stem ./overlay/catchup ./testnet/core ./mempool ./peerscore

# One scenario over seeds 1 to SEEDS, one after the other: docs/figures/cold-boot.md. A seed of
# this one takes minutes, and OUT=folder keeps what is done.
SEEDS ?= 20
SCENARIO ?= attack-cold-boot
seeds: build
	OUT=$(OUT) docs/figures/seeds.sh $(SCENARIO) $(SEEDS)

# Every kind of control flood, by one attacker and by a hundred, on real daemons:
# docs/figures/floods.md.
floods: build
	OUT=$(OUT) docs/figures/floods.sh

# The eclipse by restart in 10,000 lives: docs/figures/dial.md. An hour at most.
eclipse:
	GRAPEVINE_SEED=1 GRAPEVINE_SEEDS=10000 go test -timeout 2h -count 1 -run 'EclipseByRestart' -v ./overlay/dial

# What the shipped scenarios measure, as JSON and SVG in docs/figures. Some of
# them take minutes: SCENARIOS="smoke tx-100" runs those only.
figures: build
	docs/figures/make.sh $(SCENARIOS)

# The shipped attacks that `go test ./testnet/attack` compares, with their defence and without:
# minutes of simulations. `go test ./...` has a small network besieged by each kind instead, and
# `make promises` runs every shipped one of the worlds sim and core, with its defence.
attacks:
	GRAPEVINE_ATTACKS=1 go test -count 1 -timeout 60m ./testnet/attack

# The attacks whose cost is processor time, on real daemons pinned to one core, so that the
# attackers have the others: alone on the machine, some minutes. Fails where a scenario's promise
# is broken.
attacks-local: build
	CORES=0 docs/figures/make.sh attack-invalid-signatures attack-valid-spam
