//go:build wasip1

package main

import (
	"errors"
	"strings"
)

type requireHeaderConfig struct {
	When   *when      `json:"when"`
	Header string     `json:"header"`
	Exact  *string    `json:"exact"`
	Prefix *string    `json:"prefix"`
	Deny   denyConfig `json:"deny"`
}

type denyConfig struct {
	Status      *uint32 `json:"status"`
	Body        *string `json:"body"`
	ContentType string  `json:"content_type"`
	Headers     []field `json:"headers"`
}

// requireHeader refuses requests without a field, or with another value than it should have.
type requireHeader struct {
	when          *when
	header        string
	exact, prefix *string
	deny          *reply
}

func (c *requireHeaderConfig) step() (step, error) {
	if err := checkName(c.Header); err != nil {
		return nil, err
	}
	if c.Exact != nil && c.Prefix != nil {
		return nil, errors.New("require_header: exact or prefix, not both")
	}
	deny, err := c.Deny.reply()
	return &requireHeader{c.When, c.Header, c.Exact, c.Prefix, deny}, err
}

func (r *requireHeader) onRequest(s *stream) *reply {
	if !r.when.holds(s) {
		return nil
	}
	value, present := headerValue(requestHeaders, r.header)
	if !present || r.exact != nil && value != *r.exact || r.prefix != nil && !strings.HasPrefix(value, *r.prefix) {
		return r.deny
	}
	return nil
}

func (r *requireHeader) onResponse(*stream) {}

func (c *denyConfig) reply() (*reply, error) {
	r := &reply{status: 403, details: "header_denied", body: "Access denied."}
	if c.Status != nil {
		r.status = *c.Status
	}
	if r.status < 400 || r.status > 599 {
		return nil, errors.New("deny.status: 400 to 599")
	}
	if c.Body != nil {
		r.body = *c.Body
	}
	contentType := field{Name: "content-type", Value: "text/plain"}
	if c.ContentType != "" {
		contentType.Value = c.ContentType
	}
	var list [][2]string
	for _, field := range append([]field{contentType}, c.Headers...) {
		if err := field.check(); err != nil {
			return nil, err
		}
		list = append(list, [2]string{field.Name, field.Value})
	}
	r.headers = newPairs(list)
	return r, nil
}
