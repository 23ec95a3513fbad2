// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
)

// webhookDescription is as much of an OpenAPI description as its schemas.
type webhookDescription struct {
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

// schema is as much of a schema as an example is made of.
type schema struct {
	Ref           string             `json:"$ref"`
	Type          string             `json:"type"`
	Format        string             `json:"format"`
	Enum          []any              `json:"enum"`
	Properties    map[string]*schema `json:"properties"`
	Items         *schema            `json:"items"`
	AllOf         []*schema          `json:"allOf"`
	Discriminator *struct {
		PropertyName string            `json:"propertyName"`
		Mapping      map[string]string `json:"mapping"`
	} `json:"discriminator"`
}

// maxDepth ends schemas that hold themselves.
const maxDepth = 12

// events makes an event of each kind, with all that the description has of it.
func (d *webhookDescription) events() (map[string]any, error) {
	event := d.Components.Schemas["Event"]
	if event == nil || event.Discriminator == nil {
		return nil, errors.New("it has no schema Event with its kinds")
	}
	out := map[string]any{}
	for kind, ref := range event.Discriminator.Mapping {
		example, err := d.example(&schema{Ref: ref}, maxDepth)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", kind, err)
		}
		fields, ok := example.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("event %s is no object", kind)
		}
		fields[event.Discriminator.PropertyName] = kind
		out[kind] = fields
	}
	return out, nil
}

func (d *webhookDescription) example(s *schema, depth int) (any, error) {
	if depth == 0 || s == nil {
		return map[string]any{}, nil
	}
	if s.Ref != "" {
		name := s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
		of := d.Components.Schemas[name]
		if of == nil {
			return nil, fmt.Errorf("%s is not there", s.Ref)
		}
		return d.kindOf(of, depth-1)
	}
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0], nil
	case s.Type == "array":
		item, err := d.example(s.Items, depth-1)
		return []any{item}, err
	case s.Type == "boolean":
		return true, nil
	case s.Type == "integer", s.Type == "number":
		return 1700000000, nil // the SDK has some in 32 bits
	case s.Type == "string" && s.Format == "uri":
		return "https://shop.example/", nil
	case s.Type == "string":
		return user, nil
	}
	return d.object(s, depth)
}

// kindOf is one of the kinds that a schema comes in, where it does.
func (d *webhookDescription) kindOf(s *schema, depth int) (any, error) {
	out, err := d.example(s, depth)
	if err != nil || s.Discriminator == nil {
		return out, err
	}
	for _, kind := range []string{"user", "text"} { // whom an event is about, and what a message is
		if ref := s.Discriminator.Mapping[kind]; ref != "" {
			if out, err = d.example(&schema{Ref: ref}, depth-1); err != nil {
				return nil, err
			}
			if fields, ok := out.(map[string]any); ok {
				fields[s.Discriminator.PropertyName] = kind
			}
			return out, nil
		}
	}
	for kind, ref := range s.Discriminator.Mapping {
		if out, err = d.example(&schema{Ref: ref}, depth-1); err == nil {
			if fields, ok := out.(map[string]any); ok {
				fields[s.Discriminator.PropertyName] = kind
			}
		}
		return out, err
	}
	return out, nil
}

func (d *webhookDescription) object(s *schema, depth int) (any, error) {
	out := map[string]any{}
	for _, part := range s.AllOf {
		// The base of a kind is what it has in common with the others, and not one of them.
		if part.Ref != "" {
			if base := d.Components.Schemas[part.Ref[strings.LastIndexByte(part.Ref, '/')+1:]]; base != nil {
				part = &schema{Type: "object", Properties: base.Properties, AllOf: base.AllOf}
			}
		}
		fields, err := d.object(part, depth-1)
		if err != nil {
			return nil, err
		}
		for name, value := range fields.(map[string]any) {
			out[name] = value
		}
	}
	for name, property := range s.Properties {
		value, err := d.example(property, depth-1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = value
	}
	return out, nil
}
