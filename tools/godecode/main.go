// Command godecode reads manifests with the libraries of Argo CD and in its steps, so that tests can compare.
//
// It is a filter that stays: each text on stdin, a length of four bytes (big-endian) and then the text, is answered by
// one line of JSON on stdout: {"objects": [...]} with every object as the JSON text that the repo-server would pass on,
// or {"error": "..."}. It ends with stdin.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

type answer struct {
	Objects []string `json:"objects"`
	Error   string   `json:"error,omitempty"`
}

func main() {
	input, output := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	lines := json.NewEncoder(output)
	for {
		text, err := readText(input)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = lines.Encode(decode(text))
		}
		if err == nil {
			err = output.Flush()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "godecode:", err)
			os.Exit(1)
		}
	}
}

// readText returns the next text; io.EOF where none begins.
func readText(input io.Reader) ([]byte, error) {
	var length uint32
	if err := binary.Read(input, binary.BigEndian, &length); err != nil {
		return nil, err
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(input, text); err != nil {
		return nil, fmt.Errorf("the text of %d bytes ends early: %s", length, err)
	}
	return text, nil
}

// decode answers for one text, whatever happens to it.
func decode(text []byte) (found answer) {
	defer func() {
		if panicked := recover(); panicked != nil {
			found = answer{Error: fmt.Sprintf("panic: %v", panicked)}
		}
	}()
	manifests, err := manifests(text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Objects: manifests}
}

// manifests goes the way of a plugin's output: argocd-cmp-server splits it into JSON texts, the repo-server splits
// each of these once more, makes objects of them and unwraps lists.
func manifests(text []byte) ([]string, error) {
	parts, err := splitToString(text)
	if err != nil {
		return nil, err
	}
	found := []string{}
	for _, part := range parts {
		objects, err := split([]byte(part))
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			targets, err := unwrap(object)
			if err != nil {
				return nil, err
			}
			for _, target := range targets {
				manifest, err := json.Marshal(target.Object)
				if err != nil {
					return nil, err
				}
				found = append(found, string(manifest))
			}
		}
	}
	return found, nil
}

// splitToString does what SplitYAMLToString of gitops-engine does.
func splitToString(text []byte) ([]string, error) {
	decoder := kubeyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var parts []string
	for {
		part := runtime.RawExtension{}
		if err := decoder.Decode(&part); errors.Is(err, io.EOF) {
			return parts, nil
		} else if err != nil {
			return nil, err
		}
		raw := bytes.TrimSpace(part.Raw)
		if len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
			parts = append(parts, string(raw))
		}
	}
}

// split does what SplitYAML of gitops-engine does.
func split(text []byte) ([]*unstructured.Unstructured, error) {
	parts, err := splitToString(text)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for _, part := range parts {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(part), object); err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// unwrap does what the repo-server does with a list: it takes the items, and drops a list whose items are null.
func unwrap(object *unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	var targets []*unstructured.Unstructured
	if object.IsList() {
		err := object.EachListItem(func(item runtime.Object) error {
			target, isObject := item.(*unstructured.Unstructured)
			if !isObject {
				return errors.New("resource list item has unexpected type")
			}
			targets = append(targets, target)
			return nil
		})
		return targets, err
	}
	_, hasSpec := object.Object["spec"]
	_, hasStatus := object.Object["status"]
	items, hasItems := object.Object["items"]
	if hasItems && items == nil && !hasSpec && !hasStatus {
		return nil, nil
	}
	return append(targets, object), nil
}
