# Two commands for newcomers, and some more.
#   make run     builds the server and tries it out: DATA= another data directory, LISTEN= another address,
#                LAYOUT= rls, schema or database on a throwaway PostgreSQL
#   make test    proves what the README claims
#   make bench   measures, beside the neighbours
#   make failover  kills and freezes the leading node of a replicated PostgreSQL under load (three minutes)
#   make wheel   builds the Python package for this machine: target/wheels
#   make lint    what a change must pass before review

DATA ?= ./locule-data
LISTEN ?= 127.0.0.1:7400
LAYOUT ?= file

.PHONY: run test bench failover wheel lint
.DEFAULT_GOAL := run

run:
	@echo "Building (the first time takes some minutes), then serving $(DATA) on $(LISTEN) with two users to try it."
	cargo build --release --locked -p locule-server
ifeq ($(LAYOUT),file)
	exec ./target/release/locule serve --dev --data "$(DATA)" --listen "$(LISTEN)"
else
	bash .ci/services
	place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && bash deploy/with-postgres.sh ./target/release/locule serve --dev \
		--layout "$(LAYOUT)" --data "$$place/data" --listen "$(LISTEN)"
endif

# Each suite closes with a line of counts; the last line adds them up.
test:
	@bash .ci/services
	@bash .ci/count bash .ci/suites

bench:
	@if [ -f bench/run.sh ]; then bash bench/run.sh && bash bench/meshes.sh; else echo "There is no bench/run.sh in this checkout: nothing is measured."; fi

failover:
	bash .ci/services --failover
	timeout --kill-after=10s 20m cargo test --locked -p locule-testbed --test it -- --ignored --nocapture failover
	timeout --kill-after=10s 20m cargo test --locked -p locule-server --test e2e -- --ignored --nocapture failover

wheel:
	bash .ci/python wheel

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --all-features check; else echo "cargo-deny is not installed: licences, advisories and sources were not checked."; fi
