#!/usr/bin/env bash
# make kind-up: a cluster with Argo CD, the sidecar, LocalStack, a Git server, and an Application whose manifests lie in
# S3. Running it again brings a changed image and changed manifests into the same cluster.

# shellcheck source=deploy/kind/steps.sh
. "$(dirname "$0")/steps.sh"

require_programs
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
began=$SECONDS

say "1. A cluster of one node, kind-$CLUSTER; S3 will answer on 127.0.0.1:$S3_PORT"
if cluster_exists; then
  echo 'It is there already.'
else
  sed "s/hostPort: 4566/hostPort: $S3_PORT/" deploy/kind/cluster.yaml >"$scratch/cluster.yaml"
  run kind create cluster --name "$CLUSTER" --image "$NODE_IMAGE" --config "$scratch/cluster.yaml" --wait 180s \
    || fail "kind made no cluster. Where port $S3_PORT is taken, take another: make kind-up kind-demo S3_PORT=14566"
fi

say '2. The image of the sidecar, built here and loaded into the node'
# Without provenance the image is one manifest. With it `kind load` misses what Docker has not stored (kind's issue 3795).
run docker build --provenance=false --tag cmp-core:kind .
run kind load docker-image cmp-core:kind --name "$CLUSTER"

say "3. Argo CD $ARGO_CD_VERSION with the sidecar, LocalStack, and a Git server with the demo's trigger file"
cp -R deploy "$scratch/deploy"
for file in argo-cd/kustomization.yaml kind/git.yaml; do
  sed "s/v3\.2\.11/v$ARGO_CD_VERSION/" "deploy/$file" >"$scratch/deploy/$file"
done
run kubectl apply --server-side --force-conflicts -k "$scratch/deploy/kind"
kubectl -n git create configmap demo-app --from-file=examples/quickstart/app --dry-run=client -o yaml >"$scratch/git.yaml"
run kubectl apply --server-side -f "$scratch/git.yaml"
# The image's name does not change with its content, and the Git server reads its content only once.
run kubectl -n argocd rollout restart deployment/argocd-repo-server
run kubectl -n git rollout restart deployment/git
run kubectl -n localstack rollout status deployment/localstack --timeout=600s
run kubectl -n git rollout status deployment/git --timeout=600s
for workload in deployment/argocd-redis deployment/argocd-repo-server deployment/argocd-server \
  statefulset/argocd-application-controller; do
  run kubectl -n argocd rollout status "$workload" --timeout=600s
done

say '4. The bucket, with the manifests of the demo app in it'
bucket upload examples/quickstart/objects

say '5. The Application, whose folder in Git holds nothing but s3-source.yaml'
run kubectl wait --for=condition=Established crd/applications.argoproj.io --timeout=60s
run kubectl apply --server-side -f deploy/kind/application.yaml
wait_until 300 'the Application is synced and healthy' is_in_sync
run kubectl -n demo-app get deployment,service

cat <<END

Up in $((SECONDS - began)) s. Now:
  make kind-demo                                               see it change, fail and heal
  kubectl --context kind-$CLUSTER -n argocd get applications   look yourself
  make kind-down                                               remove all of it
END
