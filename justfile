# The commands of the project, for people. `.ci/run` calls the same ones.

# What there is.
default:
    @just --list

# Everything that can be asked of the reference scenario.
verify *ARGS:
    cargo run --release -- verify {{ARGS}}

# The tests that the README names.
test:
    cargo test --workspace

# Slow tests and tests that need a stranger's program.
test-ignored:
    cargo test --workspace -- --ignored

# Format and lints.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# What CI does.
ci:
    .ci/run

# Hours of chaos on both arms with seeds of their own, and the findings that are kept; SIM=10m PROCESS=10m just nightly is a short one.
nightly:
    .ci/nightly

# Speed of the simulator, of recording and of judging, on one core.
bench:
    cargo bench -p redline-harness --bench rates

# What the iSCSI machines cost without sockets and disks, on one core.
bench-transport:
    cargo bench -p redline-fabric --bench transport

# Attack the iSCSI target and initiator with damaged and hostile PDUs for some minutes.
fuzz-pdu MINUTES="10":
    FUZZ_MINUTES={{MINUTES}} cargo test -p redline-fabric attackers_break_nothing_for_minutes -- --ignored --nocapture

# Our array against tgt, with iscsi-perf and qemu-img bench: five rounds of each in turn.
bench-iscsi:
    cargo bench --bench iscsi

# Speed of the checker beside its peers on the same models: all tables but `large`, or those of unmodified, packed, strangers, large.
bench-checker *TABLES:
    cargo bench -p redline-checker --bench checker -- {{TABLES}}

# Accept changed snapshots, after reading them one by one.
bless:
    INSTA_UPDATE=always cargo test --workspace
    git diff --stat -- '*.snap'

# Write the corpus of good and bad traces anew.
corpus:
    cargo run --release -p redline-harness --example corpus

# Write the JSON Schemas of traces and run records anew.
schema:
    REDLINE_BLESS=1 cargo test -p redline-traces -p redline-harness schema
