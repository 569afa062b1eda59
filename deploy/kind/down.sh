#!/usr/bin/env bash
# make kind-down: remove the cluster, and with it all that make kind-up made, but for the image cmp-core:kind in Docker.

# shellcheck source=deploy/kind/steps.sh
. "$(dirname "$0")/steps.sh"

require_programs
run kind delete cluster --name "$CLUSTER"
