//go:build wasip1

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// filterConfig has one member: the kind of the filter.
type filterConfig struct {
	RequireHeader *requireHeaderConfig `json:"require_header"`
	BasicAuth     *basicAuthConfig     `json:"basic_auth"`
	Headers       *headersConfig       `json:"headers"`
	LogHeaders    *logHeadersConfig    `json:"log_headers"`
	TokenExchange *tokenExchangeConfig `json:"token_exchange"`
}

func (c *filterConfig) step() (step, error) {
	var step step
	var err error
	kinds := 0
	if c.RequireHeader != nil {
		kinds++
		step, err = c.RequireHeader.step()
	}
	if c.BasicAuth != nil {
		kinds++
		step, err = c.BasicAuth.step()
	}
	if c.Headers != nil {
		kinds++
		step, err = c.Headers.step()
	}
	if c.LogHeaders != nil {
		kinds++
		step, err = c.LogHeaders.step()
	}
	if c.TokenExchange != nil {
		kinds++
		step, err = c.TokenExchange.step()
	}
	if kinds != 1 {
		return nil, errors.New("a filter is of one kind")
	}
	return step, err
}

// decode reads JSON that has nothing but what value has.
func decode(text []byte, value any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("something behind the document")
	}
	return nil
}

// field is a name and a value.
type field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (f *field) check() error {
	if err := checkName(f.Name); err != nil {
		return err
	}
	if f.Value == "" || strings.ContainsAny(f.Value, "\r\n\x00") {
		return fmt.Errorf("%s: no value that a field can have", f.Name)
	}
	return nil
}

// checkName asks for a token (RFC 9110 section 5.6.2) in lower case.
func checkName(name string) error {
	for _, c := range name {
		digitOrLetter := c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
		if !digitOrLetter && !strings.ContainsRune("!#$%&'*+-.^_`|~", c) {
			return fmt.Errorf("%q is no field name in lower case", name)
		}
	}
	if name == "" {
		return errors.New("no field name")
	}
	return nil
}
