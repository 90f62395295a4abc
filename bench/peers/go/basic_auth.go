//go:build wasip1

package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

type basicAuthConfig struct {
	When  *when           `json:"when"`
	Rules []basicAuthRule `json:"rules"`
	Realm string          `json:"realm"`
}

type basicAuthRule struct {
	When        *when    `json:"when"`
	Credentials []string `json:"credentials"`
}

// basicAuth refuses requests without a credential that every rule for them lists (RFC 7617).
type basicAuth struct {
	when           *when
	rules          []rule
	absent, denied *reply
}

type rule struct {
	when *when
	// credentials are `user:password`.
	credentials map[string]struct{}
}

func (c *basicAuthConfig) step() (step, error) {
	if len(c.Rules) == 0 {
		return nil, errors.New("basic_auth: no rules")
	}
	realm := c.Realm
	if realm == "" {
		realm = "istio"
	}
	if strings.ContainsAny(realm, "\"\\\r\n\x00") {
		return nil, errors.New("basic_auth.realm: characters to escape")
	}
	headers := newPairs([][2]string{
		{"content-type", "text/plain"},
		{"www-authenticate", fmt.Sprintf(`Basic realm="%s", charset="UTF-8"`, realm)},
	})
	const body = "Request denied by Basic Auth check. "
	a := &basicAuth{
		when:   c.When,
		absent: &reply{401, "no_credentials", body + "No Basic Authentication information found.", headers},
		denied: &reply{401, "wrong_credentials", body + "Invalid username and/or password", headers},
	}
	for i, r := range c.Rules {
		credentials, err := readCredentials(r.Credentials)
		if err != nil {
			return nil, fmt.Errorf("basic_auth.rules[%d]: %w", i, err)
		}
		a.rules = append(a.rules, rule{r.When, credentials})
	}
	return a, nil
}

func (a *basicAuth) onRequest(s *stream) *reply {
	if !a.when.holds(s) {
		return nil
	}
	var credential []byte
	for i := range a.rules {
		rule := &a.rules[i]
		if !rule.when.holds(s) {
			continue
		}
		if credential == nil {
			var refused *reply
			if credential, refused = a.presented(); refused != nil {
				return refused
			}
		}
		if _, listed := rule.credentials[string(credential)]; !listed {
			return a.denied
		}
	}
	return nil
}

func (a *basicAuth) onResponse(*stream) {}

// presented is the credential that a request came with, or the reply to one without.
func (a *basicAuth) presented() ([]byte, *reply) {
	const scheme = "Basic "
	value, _ := headerValue(requestHeaders, "authorization")
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return nil, a.absent
	}
	credential, err := base64.StdEncoding.DecodeString(strings.TrimLeft(value[len(scheme):], " "))
	if err != nil || len(credential) == 0 {
		return nil, a.denied
	}
	return credential, nil
}

// readCredentials takes what is `user:password` or the base64 of it. No error quotes a credential.
func readCredentials(list []string) (map[string]struct{}, error) {
	if len(list) == 0 {
		return nil, errors.New("no credentials")
	}
	credentials := make(map[string]struct{}, len(list))
	for i, text := range list {
		if !strings.Contains(text, ":") {
			decoded, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return nil, fmt.Errorf("credentials[%d]: neither user:password nor the base64 of it", i)
			}
			text = string(decoded)
		}
		_, password, found := strings.Cut(text, ":")
		if !found || strings.HasPrefix(password, "{") || strings.HasPrefix(password, "$") {
			return nil, fmt.Errorf("credentials[%d]: no plain user:password", i)
		}
		credentials[text] = struct{}{}
	}
	return credentials, nil
}
