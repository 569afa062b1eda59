// Renders a chart by Argo CD's own code, and prints the objects in its order, each as one line of JSON.
//
// The argument is the chart's folder; stdin holds Argo CD's TemplateOpts as JSON. `helm` is taken from PATH.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/argoproj/argo-cd/v3/util/helm"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
)

func main() {
	if err := render(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(folder string) error {
	var options helm.TemplateOpts
	if err := json.NewDecoder(os.Stdin).Decode(&options); err != nil {
		return err
	}
	app, err := helm.NewHelmApp(folder, nil, false, "", "", "", false)
	if err != nil {
		return err
	}
	defer app.Dispose()
	output, _, err := app.Template(&options)
	if err != nil {
		return err
	}
	objects, err := kube.SplitYAML([]byte(output))
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	for _, object := range objects {
		if err := encoder.Encode(object); err != nil {
			return err
		}
	}
	return nil
}
