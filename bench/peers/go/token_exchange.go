//go:build wasip1

package main

import (
	"errors"
	"strings"
	"time"
)

type tokenExchangeConfig struct {
	Cluster   string  `json:"cluster"`
	Authority string  `json:"authority"`
	Path      string  `json:"path"`
	Headers   []field `json:"headers"`
	Timeout   string  `json:"timeout"`
	// Cache is read and left alone: plug-ins of this kind ask for each request.
	Cache *struct {
		TTL string `json:"ttl"`
	} `json:"cache"`
}

// tokenExchange trades `authorization` for a token, which the upstream gets as `x-auth-jwt`.
type tokenExchange struct {
	cluster   string
	fixed     [][2]string
	timeoutMS uint32
	failed    *reply
}

func (c *tokenExchangeConfig) step() (step, error) {
	timeout, err := time.ParseDuration(c.Timeout)
	if err != nil || timeout < time.Millisecond || timeout > time.Hour {
		return nil, errors.New("token_exchange.timeout: 1ms to 1h")
	}
	if c.Cluster == "" || c.Authority == "" || !strings.HasPrefix(c.Path, "/") {
		return nil, errors.New("token_exchange: cluster, authority and path are needed")
	}
	t := &tokenExchange{
		cluster: c.Cluster,
		fixed: [][2]string{
			{":method", "GET"}, {":path", c.Path}, {":authority", c.Authority},
		},
		timeoutMS: uint32(timeout.Milliseconds()),
		failed: &reply{503, "exchange_unavailable", "The token service is not available.",
			newPairs([][2]string{{"retry-after", "1"}})},
	}
	for _, field := range c.Headers {
		if err := field.check(); err != nil {
			return nil, err
		}
		t.fixed = append(t.fixed, [2]string{field.Name, field.Value})
	}
	return t, nil
}

func (t *tokenExchange) onRequest(s *stream) *reply {
	removeHeader(requestHeaders, "x-auth-jwt")
	credential, present := headerValue(requestHeaders, "authorization")
	if !present {
		return nil
	}
	fields := append(t.fixed[:len(t.fixed):len(t.fixed)], [2]string{"authorization", credential})
	call, sent := httpCall(t.cluster, newPairs(fields), t.timeoutMS)
	if !sent {
		return t.failed
	}
	s.waiting = t
	calls[call] = s
	return nil
}

func (t *tokenExchange) onResponse(*stream) {}

// onAnswer returns the reply to a request that must not go on.
func (t *tokenExchange) onAnswer(bodySize uint32) *reply {
	if status, _ := headerValue(callHeaders, ":status"); status != "200" {
		return t.failed
	}
	token := strings.Trim(callBody(bodySize), " \t\r\n")
	if token == "" {
		return t.failed
	}
	replaceHeader(requestHeaders, "x-auth-jwt", token)
	return nil
}
