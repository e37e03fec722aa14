package amqptest

import "slices"

// queue is a queue. The broker's mu is held at all its methods.
type queue struct {
	waiting   [][]byte
	receivers []*link            // of clients, which take turns
	unsettled map[*delivery]bool // what was sent to a client
	sent      int                // how often something was
}

// delivery is a message that was sent to a client.
type delivery struct {
	payload []byte
	of      *link
	number  int // in order of sending
}

func (q *queue) put(payload []byte) {
	q.waiting = append(q.waiting, payload)
	q.pump()
}

func (q *queue) join(l *link) { q.receivers = append(q.receivers, l) }

// all returns what was not accepted: what was sent first.
func (q *queue) all() [][]byte {
	var sent []*delivery
	for d := range q.unsettled {
		sent = append(sent, d)
	}
	slices.SortFunc(sent, func(a, b *delivery) int { return a.number - b.number })
	var all [][]byte
	for _, d := range sent {
		all = append(all, d.payload)
	}
	return append(all, q.waiting...)
}

// pump sends what waits to receivers that have credit.
func (q *queue) pump() {
	for len(q.waiting) > 0 {
		i := slices.IndexFunc(q.receivers, (*link).ready)
		if i < 0 {
			return
		}
		l := q.receivers[i]
		q.receivers = append(slices.Delete(q.receivers, i, i+1), l)
		payload := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.sent++
		d := &delivery{payload: payload, of: l, number: q.sent}
		if l.send(d) {
			if q.unsettled == nil {
				q.unsettled = map[*delivery]bool{}
			}
			q.unsettled[d] = true
		}
	}
}

// settle notes the outcome of a delivery.
func (q *queue) settle(d *delivery, again bool) {
	if !q.unsettled[d] {
		return
	}
	delete(q.unsettled, d)
	if again {
		q.waiting = slices.Insert(q.waiting, 0, d.payload)
	}
}

// leave takes a receiver away, and what it has not settled back.
func (q *queue) leave(l *link) {
	q.receivers = slices.DeleteFunc(q.receivers, func(other *link) bool { return other == l })
	var back []*delivery
	for d := range q.unsettled {
		if d.of == l {
			back = append(back, d)
		}
	}
	slices.SortFunc(back, func(a, b *delivery) int { return b.number - a.number }) // the last one first
	for _, d := range back {
		q.settle(d, true)
	}
	q.pump()
}
