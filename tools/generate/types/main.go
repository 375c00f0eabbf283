// Prints, as JSON, what reflection knows of the Go types behind every kind of Kubernetes' API: the Go names (which
// error messages contain), JSON names and omission rules, protobuf field numbers, and strategic merge keys.
// generate.py beside this file runs it and says what the output looks like.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	admissionv1beta1 "k8s.io/api/admission/v1beta1"
	discoveryv2 "k8s.io/api/apidiscovery/v2"
	discoveryv2beta1 "k8s.io/api/apidiscovery/v2beta1"
	imagepolicyv1alpha1 "k8s.io/api/imagepolicy/v1alpha1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	apiregistrationv1beta1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1beta1"
)

type field struct {
	Go       string `json:"go"`
	JSON     string `json:"json"`           // empty: inlined
	Type     string `json:"type"`           // "*T", "[]T", "map[K]V" over a basic kind or a key of types
	Omit     string `json:"omit,omitempty"` // "empty", "zero", "empty,zero"
	Protobuf string `json:"pb,omitempty"`   // "NUMBER WIRE": "1 bytes", "3 varint"; absent: not on the wire
	Merge    string `json:"merge,omitempty"`
	Key      string `json:"key,omitempty"`
}

type goType struct {
	Name    string  `json:"name"`              // as reflect prints it: "v1.ObjectMeta"
	Of      string  `json:"of,omitempty"`      // what a named type that is no struct stands for
	Custom  bool    `json:"custom,omitempty"`  // has UnmarshalJSON
	Message bool    `json:"message,omitempty"` // marshals itself to protobuf
	Fields  []field `json:"fields,omitempty"`
}

type marshaler interface{ Marshal() ([]byte, error) }

var (
	types       = map[string]*goType{}
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
	messages    = reflect.TypeFor[marshaler]()
)

func name(t reflect.Type) string {
	if t.Name() != "" && t.PkgPath() != "" {
		id := t.PkgPath() + "." + t.Name()
		visit(id, t)
		return id
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + name(t.Elem())
	case reflect.Slice:
		return "[]" + name(t.Elem())
	case reflect.Map:
		return "map[" + name(t.Key()) + "]" + name(t.Elem())
	}
	return t.String()
}

func visit(id string, t reflect.Type) {
	if types[id] != nil {
		return
	}
	pointer := reflect.PointerTo(t)
	seen := &goType{Name: t.String(), Custom: pointer.Implements(unmarshaler), Message: pointer.Implements(messages)}
	types[id] = seen
	if t.Kind() != reflect.Struct {
		seen.Of = underlying(t)
		return
	}
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || tag == "-" {
			continue
		}
		options = "," + options + ","
		one := field{Go: f.Name, JSON: tag, Type: name(f.Type), Merge: f.Tag.Get("patchStrategy"), Key: f.Tag.Get("patchMergeKey")}
		if tag == "" && !f.Anonymous {
			one.JSON = f.Name
		}
		var omit []string
		for _, word := range []string{"empty", "zero"} {
			if strings.Contains(options, ",omit"+word+",") {
				omit = append(omit, word)
			}
		}
		one.Omit = strings.Join(omit, ",")
		if strings.Contains(options, ",string,") {
			panic("the string option is not provided for: " + id)
		}
		if parts := strings.Split(f.Tag.Get("protobuf"), ","); len(parts) > 1 {
			one.Protobuf = parts[1] + " " + parts[0]
		}
		seen.Fields = append(seen.Fields, one)
	}
}

// underlying names what a named slice, map or basic type is made of.
func underlying(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "[]" + name(t.Elem())
	case reflect.Map:
		return "map[" + name(t.Key()) + "]" + name(t.Elem())
	}
	return t.Kind().String()
}

func main() {
	all := scheme.Scheme
	for _, add := range []func(*runtime.Scheme) error{
		admissionv1.AddToScheme, admissionv1beta1.AddToScheme, imagepolicyv1alpha1.AddToScheme,
		discoveryv2.AddToScheme, discoveryv2beta1.AddToScheme,
		apiextensionsv1.AddToScheme, apiextensionsv1beta1.AddToScheme,
		apiregistrationv1.AddToScheme, apiregistrationv1beta1.AddToScheme,
		metav1.AddMetaToScheme, v1beta1.AddMetaToScheme,
	} {
		if err := add(all); err != nil {
			panic(err)
		}
	}
	kinds := map[string]string{}
	for gvk, t := range all.AllKnownTypes() {
		if gvk.Version != runtime.APIVersionInternal {
			kinds[gvk.GroupVersion().String()+" "+gvk.Kind] = name(t)
		}
	}
	name(reflect.TypeFor[runtime.Unknown]())
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(map[string]any{"kinds": kinds, "types": types}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
