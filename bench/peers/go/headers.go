//go:build wasip1

package main

import (
	"errors"
	"strings"
)

type headersConfig struct {
	When     *when        `json:"when"`
	Request  []editConfig `json:"request"`
	Response []editConfig `json:"response"`
}

// editConfig has one member: what is done.
type editConfig struct {
	Set         *field       `json:"set"`
	Append      *field       `json:"append"`
	AddIfAbsent *field       `json:"add_if_absent"`
	Remove      *removeField `json:"remove"`
}

type removeField struct {
	Name string `json:"name"`
}

// headers edits the fields of requests and responses.
type headers struct {
	when              *when
	request, response []edit
}

type edit struct {
	action      action
	name, value string
}

type action uint8

const (
	set action = iota
	appendValue
	addIfAbsent
	remove
)

func (c *headersConfig) step() (step, error) {
	if len(c.Request)+len(c.Response) == 0 {
		return nil, errors.New("headers: no edits")
	}
	request, err := newEdits(c.Request)
	if err != nil {
		return nil, err
	}
	response, err := newEdits(c.Response)
	return &headers{c.When, request, response}, err
}

// keep has what when looks at read.
func (h *headers) keep(s *stream) {
	if len(h.response) > 0 {
		h.when.holds(s)
	}
}

func (h *headers) onRequest(s *stream) *reply {
	if len(h.request) > 0 && h.when.holds(s) {
		apply(h.request, requestHeaders)
	}
	return nil
}

func (h *headers) onResponse(s *stream) {
	if len(h.response) > 0 && h.when.holds(s) {
		apply(h.response, responseHeaders)
	}
}

func apply(edits []edit, m headerMap) {
	for i := range edits {
		edit := &edits[i]
		switch edit.action {
		case set:
			replaceHeader(m, edit.name, edit.value)
		case appendValue:
			addHeader(m, edit.name, edit.value)
		case addIfAbsent:
			if _, present := headerValue(m, edit.name); !present {
				addHeader(m, edit.name, edit.value)
			}
		case remove:
			removeHeader(m, edit.name)
		}
	}
}

func newEdits(configs []editConfig) ([]edit, error) {
	var edits []edit
	for _, config := range configs {
		edit, err := config.edit()
		if err != nil {
			return nil, err
		}
		edits = append(edits, edit)
	}
	return edits, nil
}

func (c *editConfig) edit() (edit, error) {
	var found []edit
	writes := []struct {
		action action
		field  *field
	}{{set, c.Set}, {appendValue, c.Append}, {addIfAbsent, c.AddIfAbsent}}
	for _, write := range writes {
		if write.field == nil {
			continue
		}
		if err := write.field.check(); err != nil {
			return edit{}, err
		}
		if strings.Contains(write.field.Value, "%") {
			return edit{}, errors.New("headers: a value with a placeholder")
		}
		found = append(found, edit{write.action, write.field.Name, write.field.Value})
	}
	if c.Remove != nil {
		if err := checkName(c.Remove.Name); err != nil {
			return edit{}, err
		}
		found = append(found, edit{action: remove, name: c.Remove.Name})
	}
	if len(found) != 1 {
		return edit{}, errors.New("headers: an edit does one thing")
	}
	return found[0], nil
}
