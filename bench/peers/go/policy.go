//go:build wasip1

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A policy is a configuration, ready to run.
type policy struct {
	steps   []step
	keepers []keeper
}

// A step is a filter of the configuration.
type step interface {
	// onRequest returns the reply to a request that must not go on.
	onRequest(*stream) *reply
	onResponse(*stream)
}

// A keeper needs something of the request, which is gone by then, when the response comes.
type keeper interface {
	keep(*stream)
}

// newPolicy reads a configuration.
func newPolicy(text string) (*policy, error) {
	var config struct {
		Filters []filterConfig `json:"filters"`
	}
	if err := decode([]byte(text), &config); err != nil {
		return nil, err
	}
	if len(config.Filters) == 0 {
		return nil, errors.New("no filters")
	}
	p := &policy{}
	for i, filter := range config.Filters {
		step, err := filter.step()
		if err != nil {
			return nil, fmt.Errorf("filters[%d]: %w", i, err)
		}
		if _, waits := step.(*tokenExchange); waits && i+1 < len(config.Filters) {
			return nil, fmt.Errorf("filters[%d]: nothing may stand behind a filter that waits", i)
		}
		p.steps = append(p.steps, step)
		if keeper, ok := step.(keeper); ok {
			p.keepers = append(p.keepers, keeper)
		}
	}
	return p, nil
}

// onRequest lets the steps see a request in their order, until one replies.
func (p *policy) onRequest(s *stream) *reply {
	for _, keeper := range p.keepers {
		keeper.keep(s)
	}
	for _, step := range p.steps {
		if reply := step.onRequest(s); reply != nil {
			return reply
		}
	}
	return nil
}

// onResponse lets the steps see a response in the reverse order.
func (p *policy) onResponse(s *stream) {
	for _, step := range slices.Backward(p.steps) {
		step.onResponse(s)
	}
}

// A stream is a request and its response. What is read of the request once is kept.
type stream struct {
	context         uint32
	policy          *policy
	waiting         *tokenExchange
	path, method    lazy
	requestIDHeader lazy
}

// lazy is a request field that may have been read.
type lazy struct {
	value string
	read  bool
}

// requestPath has no query.
func (s *stream) requestPath() string {
	if !s.path.read {
		path := s.path.of(":path")
		if end := strings.IndexAny(path, "?#"); end >= 0 {
			s.path.value = path[:end]
		}
	}
	return s.path.value
}

func (s *stream) requestMethod() string {
	return s.method.of(":method")
}

func (s *stream) requestID() string {
	return s.requestIDHeader.of("x-request-id")
}

func (l *lazy) of(name string) string {
	if !l.read {
		l.value, _ = headerValue(requestHeaders, name)
		l.read = true
	}
	return l.value
}

// A reply answers a request in place of the upstream.
type reply struct {
	status  uint32
	details string
	body    string
	headers pairs
}

func (r *reply) send() {
	sendLocalResponse(r.status, r.details, r.body, r.headers)
}
