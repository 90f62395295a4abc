//go:build wasip1

package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// when is the requests that something is for: all of them if it is nil.
type when struct {
	Path    pathConditions `json:"path"`
	Methods []string       `json:"methods"`
}

// pathConditions is one condition or a list, of which one must hold.
type pathConditions []pathCondition

// pathCondition has one member.
type pathCondition struct {
	Exact  *string `json:"exact"`
	Prefix *string `json:"prefix"`
}

func (w *when) holds(s *stream) bool {
	return w == nil || w.Path.hold(s) && (w.Methods == nil || slices.Contains(w.Methods, s.requestMethod()))
}

func (c pathConditions) hold(s *stream) bool {
	if c == nil {
		return true
	}
	path := s.requestPath()
	for i := range c {
		if c[i].holds(path) {
			return true
		}
	}
	return false
}

func (c *pathCondition) holds(path string) bool {
	if c.Exact != nil {
		return path == *c.Exact
	}
	return strings.HasPrefix(path, *c.Prefix)
}

func (c *pathConditions) UnmarshalJSON(text []byte) error {
	var list []pathCondition
	if bytes.HasPrefix(text, []byte("[")) {
		if err := decode(text, &list); err != nil {
			return err
		}
	} else {
		list = make([]pathCondition, 1)
		if err := decode(text, &list[0]); err != nil {
			return err
		}
	}
	for _, condition := range list {
		if (condition.Exact == nil) == (condition.Prefix == nil) {
			return errors.New("when.path: either exact or prefix")
		}
	}
	if len(list) == 0 {
		return errors.New("when.path: no conditions")
	}
	*c = list
	return nil
}
