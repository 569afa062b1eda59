// Command kubectl is made as Kubernetes makes its own, of the same module, since that repository cannot be built from outside.
package main

import (
	"os"

	"k8s.io/kubectl/pkg/cmd"
)

func main() {
	if err := cmd.NewDefaultKubectlCommand().Execute(); err != nil {
		os.Exit(1)
	}
}
