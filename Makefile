# tidegate: `make demo` shows it, `make test` proves it.

CARGO ?= cargo
RELEASE := target/release/tidegate

.PHONY: help demo test test-postgres-versions build lint docs bench chaos check-deploy check-terraform check-image check-kubernetes e2e-kubernetes sbom down clean

help: ## what can be made
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## the whole loop on this machine, about four minutes
	@scripts/ensure-tools.sh demo
	$(CARGO) build --release --locked -p tidegate
	$(RELEASE) up

test: ## everything the tests need, then all tests
	@scripts/test.sh

test-postgres-versions: ## the PostgreSQL sink on servers 13 to 18 (not in make test)
	@scripts/test-postgres-versions.sh

build: ## the release binary
	$(CARGO) build --release --locked -p tidegate

lint: ## formatting, clippy, cargo-deny, docs
	@scripts/lint.sh

docs: ## rustdoc of the libraries
	$(CARGO) doc --locked --no-deps --workspace --open

bench: ## every benchmark; raw output under benches/runs/ (about an hour)
	@scripts/bench.sh

chaos: ## CHAOS_FAULTS (1,000) faults of CHAOS_SEED, an audit after each round (about half an hour)
	@scripts/chaos.sh

check-deploy: ## chart, alerts and scripts: helm, promtool, shellcheck (builds helm once)
	@scripts/check-deploy.sh

check-terraform: ## deploy/terraform: real providers, tests, policies, checkov (builds them once)
	@scripts/check-terraform.sh

check-image: ## the image by buildah and runc, without a container engine (as root)
	@scripts/check-image.sh

check-kubernetes: ## the chart against a real API server (builds it once, long)
	@scripts/kubernetes/check.sh

e2e-kubernetes: ## the chart end to end: real KEDA, HPA, Kafka, both laws (builds KEDA once; about 20 minutes)
	@scripts/kubernetes/e2e.sh

sbom: ## what the binary is made of, CycloneDX, into target/sbom/
	@scripts/sbom.py

down: ## take down what deploy-infra.sh made; asks first
	@./deploy-infra.sh --destroy

clean: ## what was built here (the Kafka cache stays)
	$(CARGO) clean
