// Command checkrules reads a file of rules from stdin as Prometheus does, and says what is wrong with it.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/prometheus/prometheus/model/rulefmt"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, errs := rulefmt.Parse(text, false)
	for _, err := range errs {
		fmt.Fprintln(os.Stderr, err)
	}
	if len(errs) > 0 {
		os.Exit(1)
	}
}
