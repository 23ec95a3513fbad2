// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/report"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// model is a shop whose scenarios, customers, providers and processes do as chance has it. What must hold all
// the same is checked by what the providers took and what the store says, and not by how it came to be.
type model struct {
	*fixture
	chance    *rand.Rand
	scenarios []*modelled
	engines   []*Engine // the last of them lives
	ids       int

	takes  []take     // under the provider's lock
	mu     sync.Mutex // for what follows
	deaths int
	calm   bool
}

// take is a message that a provider took.
type take struct {
	customer string
	at       time.Time
	// resolved says that it was begun before, and found out about then.
	resolved bool
}

// modelled is a scenario as it is now.
type modelled struct {
	name      string
	event     bool
	holdout   int32
	reentry   *crm.Reentry
	coupon    bool
	exitOn    []crm.ExitReason
	priority  int32
	steps     []string // names and what they do, without their conditions
	suspended bool
	armed     Armed
}

const (
	modelCustomers = 40
	modelDays      = 8
	quietFrom      = 21
	quietTo        = 8
)

var modelCap = Cap{Messages: 2, Per: 36 * time.Hour, Namespace: true}

// TestModel plays random scenarios over random histories, with crashes and edits. KAERU_MODEL_SEEDS plays as many.
func TestModel(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		seeds := 3
		if f.st.Dialect() == store.Postgres {
			seeds = 1
		}
		if n, err := strconv.Atoi(os.Getenv("KAERU_MODEL_SEEDS")); err == nil {
			seeds = n
		}
		var shares holdoutShares
		for seed := range seeds {
			if !t.Run(fmt.Sprint(seed), func(t *testing.T) { playModel(f.in(t), uint64(seed), &shares) }) {
				t.Fatalf("seed %d", seed)
			}
		}
		shares.check(t)
	})
}

func playModel(f *fixture, seed uint64, shares *holdoutShares) {
	m := &model{fixture: f, chance: rand.New(rand.NewPCG(seed, 7))}
	f.provider = newProvider()
	f.provider.script = m.answer
	f.provider.seen = func(msg *channel.Message, resolved bool) {
		m.takes = append(m.takes, take{msg.Customer, m.clock.Now(), resolved})
	}
	hours := schedule.QuietHours{Start: timeOfDay(f, "21:00"), End: timeOfDay(f, "08:00"), Location: tokyo(f)}
	for ref, kind := range map[Ref]string{mail: "email", push: "line"} {
		ch := f.channel(kind)
		ch.Quiet, ch.Caps = &Quiet{QuietHours: hours}, []Cap{modelCap}
		f.channels.Put(ref, ch)
	}
	m.people()
	m.coupons("pool", 25, time.Time{})
	for i := range 1 + m.chance.IntN(3) {
		m.scenarios = append(m.scenarios, m.invent(fmt.Sprintf("s%d-%d", seed, i)))
	}
	m.restart()
	for day := range modelDays {
		for _, hour := range []int{1, 4, 9, 13, 22} { // UTC; in Tokyo it is nine more
			f.clock.SetTime(time.Date(2026, 11, 2+day, hour, m.chance.IntN(60), 0, 0, time.UTC))
			if hour == 1 {
				f.clock.SetTime(time.Date(2026, 11, 2+day, 1, 0, 0, 0, time.UTC))
				m.fireSlots()
			}
			m.happenings()
			m.interfere()
			m.work()
			f.clock.SetTime(f.clock.Now().Add(grace + time.Second))
			m.work()
		}
	}
	m.end()
	m.check(shares)
}

// people are customers some of whom have no address, gave no consent, live elsewhere or want to hear little.
func (m *model) people() {
	m.customers(modelCustomers)
	for i := range modelCustomers {
		id := fmt.Sprintf("c%05d", i)
		attributes := map[string]any{"points": m.chance.IntN(8)}
		if m.chance.IntN(4) == 0 {
			attributes["time_zone"] = []string{"America/New_York", "Europe/London", "Australia/Lord_Howe"}[m.chance.IntN(3)]
		}
		if m.chance.IntN(6) == 0 {
			attributes["frequency"] = []string{"none", "weekly", "monthly", "all"}[m.chance.IntN(4)]
		}
		if m.chance.IntN(3) == 0 {
			attributes["renews_on"] = monday.AddDate(0, 0, m.chance.IntN(20)).Format(time.DateOnly)
		}
		text, err := json.Marshal(attributes)
		m.ok(err)
		m.exec(`UPDATE customers SET attributes = `+m.st.Dialect().JSONParam(1)+` WHERE id = $2`, string(text), id)
		switch m.chance.IntN(10) {
		case 0:
			m.exec(`DELETE FROM consents WHERE customer_id = $1 AND channel = 'line'`, id)
		case 1:
			m.exec(`UPDATE customers SET email = NULL WHERE id = $1`, id)
		}
	}
}

func (m *model) invent(name string) *modelled {
	s := &modelled{name: name, event: m.chance.IntN(2) == 0, holdout: []int32{0, 20, 50}[m.chance.IntN(3)], coupon: m.chance.IntN(2) == 0, priority: int32(m.chance.IntN(3)) * 40}
	switch m.chance.IntN(3) {
	case 0:
		s.reentry = &crm.Reentry{Policy: crm.ReentryAfterExit, Cooldown: "1d"}
	case 1:
		if s.event {
			s.reentry = &crm.Reentry{Policy: crm.ReentryAlways, Key: "cart_id"}
		}
	}
	if m.chance.IntN(2) == 0 {
		s.exitOn = []crm.ExitReason{crm.ExitGoal}
	}
	for range 1 + m.chance.IntN(4) {
		s.steps = append(s.steps, m.step(s))
	}
	s.armed = m.compile(s)
	return s
}

// step makes a step of a new name.
func (m *model) step(s *modelled) string {
	m.ids++
	text := "t"
	if s.coupon && m.chance.IntN(2) == 0 {
		text = "{{ coupon.code }}"
	}
	mailed := `"email": {"channel": "mail", "subject": "s", "text": "` + text + `"`
	pushed := `"line": {"channel": "push", "messages": [{"type": "text", "text": "` + text + `"}]`
	act := []string{
		mailed + `}`, pushed + `}`,
		mailed + `, "variants": [{"name": "x", "weight": 1}, {"name": "y", "weight": 1, "subject": "y"}]}`,
		pushed + `, "fallback": {"email": {"channel": "mail", "subject": "s", "text": "instead"}}}`,
		mailed + `, "fallback": {"line": {"channel": "push", "messages": [{"type": "text", "text": "instead"}]}}}`,
		`"update": {"attributes": {"rank": "gold"}}`,
	}[m.chance.IntN(6)]
	wait := []string{
		``, ``, `{"for": "3h"}`, `{"for": "2d"}`, `{"for": "1d", "at": "12:00"}`, `{"weekdays": ["Mon", "Thu"], "at": "10:00"}`,
		`{"untilEvent": {"name": "Product Viewed", "timeout": "2d"}}`, `{"until": {"of": "LastOrder", "offset": "3d"}}`,
		`{"until": {"attribute": "renews_on", "offset": "-1d"}, "at": "18:00"}`,
	}[m.chance.IntN(9)]
	if wait != "" {
		act = `"wait": ` + wait + `, ` + act
	}
	return fmt.Sprintf(`{"name": "s%d", %s`, m.ids, act)
}

// compile arms the scenario as it is, with conditions of its own.
func (m *model) compile(s *modelled) Armed {
	var steps []string
	for _, step := range s.steps {
		condition := []string{``, ``, `customer.points > 3`, `!goal.reached`, `customer.rank == 'gold' || customer.points >= 0`, `has(entry.at)`}[m.chance.IntN(6)]
		if condition != "" {
			step += `, "if": "` + condition + `"`
		}
		steps = append(steps, step+`}`)
	}
	a := m.armed(`[`+strings.Join(steps, ",")+`]`, func(spec *crm.ScenarioSpec) {
		spec.Reentry, spec.Priority, spec.Suspend = s.reentry, &s.priority, s.suspended
		spec.Goal, spec.ExitOn = &crm.Goal{Event: crm.EventOrderCompleted, Within: "5d"}, s.exitOn
		if s.holdout > 0 {
			spec.Holdout = &crm.Holdout{Percent: s.holdout}
		}
		if s.coupon {
			spec.Coupon = &crm.ScenarioCoupon{Pool: "pool", ValidFor: "30d"}
		}
		if s.event {
			spec.Trigger.Event = &crm.EventTrigger{Name: "Product Added"}
		}
	})
	a.Name = s.name
	if s.event {
		a = m.anybody(a)
	}
	return a
}

func (m *model) engineNow() *Engine { return m.engines[len(m.engines)-1] }

// restart lets the process die that there is, and starts another one.
func (m *model) restart() {
	e := m.engine()
	e.attribute = func(ctx context.Context, a Armed) (int64, error) {
		return report.Attribute(ctx, m.st, a.Namespace, a.Name, a.Epoch, report.Goal{Within: 5 * 24 * time.Hour}, time.Time{})
	}
	m.engines = append(m.engines, e)
	m.expire()
	for _, s := range m.scenarios {
		m.ok(e.Arm(m.Context(), s.armed))
	}
}

func (m *model) fireSlots() {
	for _, s := range m.scenarios {
		if s.event || s.suspended {
			continue
		}
		for range 1 + m.chance.IntN(2) { // whoever fires it a second time is told so
			_, err := m.engineNow().Fire(m.Context(), s.armed, slot(m.clock.Now()))
			m.ok(err)
		}
	}
}

// happenings are what customers did.
func (m *model) happenings() {
	now := m.clock.Now()
	for range m.chance.IntN(8) {
		m.ids++
		customer, id := fmt.Sprintf("c%05d", m.chance.IntN(modelCustomers)), fmt.Sprintf("h%d", m.ids)
		switch m.chance.IntN(6) {
		case 0, 1:
			m.happen(added(id, customer, fmt.Sprintf("k%d", m.chance.IntN(5)), "tea", now.Add(-time.Duration(m.chance.IntN(90))*time.Minute)))
		case 2:
			m.happen(viewed(id, customer, now))
		case 3:
			m.order(id, customer, "paid", now.Add(-time.Minute))
		case 4:
			m.ok(m.st.SetConsent(m.Context(), "shop", customer, []string{"email", "line"}[m.chance.IntN(2)], store.ConsentWithdrawn, "test", now))
		case 5:
			m.exec(`UPDATE messages SET clicked_at = $1 WHERE customer_id = $2 AND state = 'sent'`, store.Millis(now), customer)
		}
	}
}

// interfere is what operators and machines do.
func (m *model) interfere() {
	s := m.scenarios[m.chance.IntN(len(m.scenarios))]
	switch m.chance.IntN(12) {
	case 0, 1:
		m.restart()
		return
	case 2: // a step more
		s.steps = slices.Insert(s.steps, m.chance.IntN(len(s.steps)+1), m.step(s))
	case 3: // one less
		if len(s.steps) > 1 {
			at := m.chance.IntN(len(s.steps))
			s.steps = slices.Delete(s.steps, at, at+1)
		}
	case 4: // another order
		m.chance.Shuffle(len(s.steps), func(i, j int) { s.steps[i], s.steps[j] = s.steps[j], s.steps[i] })
	case 5: // a step renamed is another one
		at := m.chance.IntN(len(s.steps))
		_, rest, _ := strings.Cut(s.steps[at], ",")
		m.ids++
		s.steps[at] = fmt.Sprintf(`{"name": "s%d",%s`, m.ids, rest)
	case 6:
		s.suspended = !s.suspended
	case 7: // deleted and created again
		_, err := m.engineNow().Cancel(m.Context(), s.armed.Ref)
		m.ok(err)
	default:
		return
	}
	s.armed = m.compile(s)
	m.ok(m.engineNow().Arm(m.Context(), s.armed))
}

// answer is what a provider does with a try; it is called under the provider's lock.
func (m *model) answer(msg *channel.Message, _ int) step {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := step{out: channel.Outcome{End: channel.Sent}}
	if !m.calm {
		switch k := m.chance.IntN(40); {
		case k == 0 && m.deaths < 10:
			m.deaths++
			n := m.chance.IntN(3)
			out = step{diesBefore: n == 0, diesBegun: n == 1, diesTaken: n == 2}
		case k == 1:
			out.out = channel.Outcome{End: channel.Failed, Reason: channel.ReasonRefused}
		case k == 2:
			out.out = channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderFailing}
		case k == 3:
			out = step{out: channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderUnreachable}, unbegun: true}
		case k == 4 && msg.Email != nil:
			out.out = channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost}
		}
	}
	return out
}

// work lets the process do what can be done at this moment, or until it dies.
func (m *model) work() {
	m.mu.Lock()
	deaths := m.deaths
	m.mu.Unlock()
	for same, last := 0, ""; same < 6; {
		e := m.engineNow()
		m.ok(e.tick(m.Context()))
		for _, s := range m.scenarios {
			runs, err := e.Runs(m.Context(), s.armed.Ref)
			m.ok(err)
			for _, r := range runs {
				if r.State == RunPlanned {
					m.ok(e.Open(m.Context(), s.armed.Ref, r.Name))
				}
			}
		}
		time.Sleep(2 * time.Millisecond)
		m.mu.Lock()
		died := m.deaths > deaths
		deaths = m.deaths
		m.mu.Unlock()
		if died {
			m.restart()
		}
		m.exec(`UPDATE shards SET lease_until = 0 WHERE holder = ''`) // what was given back for later is looked at now
		e.mu.Lock()
		working := e.total
		e.mu.Unlock()
		if is := m.states() + fmt.Sprint(m.count(`SELECT COUNT(*) FROM enrolments`), working); is != last {
			same, last = 0, is
		} else {
			same++
		}
	}
}

// end lets two months pass in which nothing goes wrong.
func (m *model) end() {
	m.mu.Lock()
	m.calm = true
	m.mu.Unlock()
	close(m.provider.graves)
	for _, s := range m.scenarios {
		if s.suspended {
			s.suspended = false
			s.armed = m.compile(s)
		}
	}
	m.restart()
	for _, e := range m.engines[:len(m.engines)-1] {
		e.workers.Wait()
	}
	m.expire()
	start := m.clock.Now()
	for hours := 0; hours < 60*24; hours += 7 { // so that each time of day is seen
		m.clock.SetTime(start.Add(time.Duration(hours) * time.Hour))
		for _, a := range m.engineNow().snapshot() {
			a.next = time.Time{}
		}
		m.settle(m.engineNow())
		if m.count(`SELECT COUNT(*) FROM enrolments WHERE state IN ('active', 'held')`)+m.count(`SELECT COUNT(*) FROM messages WHERE state IN ('planned', 'sending')`) == 0 && hours > 24 {
			break
		}
	}
}

func (m *model) check(shares *holdoutShares) {
	m.Helper()
	m.provider.mu.Lock()
	for key, n := range m.provider.took {
		if n > 1 {
			m.Errorf("message %s was taken %d times", key, n)
		}
	}
	m.provider.mu.Unlock()
	for what, query := range map[string]string{
		"messages without an end":               `SELECT COUNT(*) FROM messages WHERE state NOT IN ('sent', 'failed', 'skipped', 'cancelled', 'unknown') OR ended_at IS NULL`,
		"customers who are stuck":               `SELECT COUNT(*) FROM enrolments WHERE state NOT IN ('completed', 'exited', 'holdout', 'cancelled') OR ended_at IS NULL`,
		"runs that do not end":                  `SELECT COUNT(*) FROM runs WHERE state NOT IN ('complete', 'cancelled')`,
		"messages to those held out":            `SELECT COUNT(*) FROM messages m JOIN enrolments e ON e.ns = m.ns AND e.scenario = m.scenario AND e.epoch = m.epoch AND e.customer_id = m.customer_id AND e.entry = m.entry WHERE e.state = 'holdout'`,
		"messages that nobody was enrolled for": `SELECT COUNT(*) FROM messages m WHERE NOT EXISTS (SELECT 1 FROM enrolments e WHERE e.ns = m.ns AND e.scenario = m.scenario AND e.epoch = m.epoch AND e.customer_id = m.customer_id AND e.entry = m.entry)`,
		"entries with several coupons":          `SELECT COUNT(*) FROM (SELECT 1 FROM coupons WHERE customer_id IS NOT NULL GROUP BY scenario, epoch, customer_id, entry HAVING COUNT(*) > 1) x`,
		"facts that nobody decided about":       `SELECT COUNT(*) FROM arrivals`,
	} {
		if n := m.count(query); n > 0 {
			m.Errorf("%d %s", n, what)
		}
	}
	m.checkTimes()
	m.checkHoldout(shares)
}

// checkTimes holds what providers took against the quiet hours and the caps.
func (m *model) checkTimes() {
	of := map[string][]time.Time{}
	for _, t := range m.takes {
		var zone, frequency string
		var attributes []byte
		m.ok(m.st.QueryRow(m.Context(), `SELECT attributes FROM customers WHERE id = $1`, t.customer).Scan(&attributes))
		l := letter{who: customer{attributes: attributes}}
		zone, frequency = l.chosen()
		if zone == "" {
			zone = "Asia/Tokyo"
		}
		loc, err := time.LoadLocation(zone)
		m.ok(err)
		// By the clock on the wall, not as Kaeru works it out.
		if hour := t.at.In(loc).Hour(); !t.resolved && (hour >= quietFrom || hour < quietTo) {
			m.Errorf("%s was sent something at %s", t.customer, t.at.In(loc))
		}
		if frequency == FrequencyNone {
			m.Errorf("%s wants to hear nothing", t.customer)
		}
		of[t.customer] = append(of[t.customer], t.at)
		if chosen, ok := chosenCaps[frequency]; ok {
			m.checkCap(t.customer, of[t.customer], chosen)
		}
		m.checkCap(t.customer, of[t.customer], modelCap)
	}
}

func (m *model) checkCap(who string, at []time.Time, c Cap) {
	n := 0
	last := at[len(at)-1]
	for _, t := range at {
		if last.Sub(t) < c.Per {
			n++
		}
	}
	if n > c.Messages {
		m.Errorf("%s was sent %d messages in %s before %s", who, n, c.Per, last)
	}
}

// holdoutShares gathers how many were held out of how many, over many scenarios.
type holdoutShares struct{ held, expected, variance float64 }

func (m *model) checkHoldout(shares *holdoutShares) {
	for _, s := range m.scenarios {
		n := m.count(`SELECT COUNT(DISTINCT customer_id) FROM enrolments WHERE scenario = $1`, s.name)
		held := m.count(`SELECT COUNT(DISTINCT customer_id) FROM enrolments WHERE scenario = $1 AND state = 'holdout'`, s.name)
		p := float64(s.holdout) / 100
		shares.held += float64(held)
		shares.expected += p * float64(n)
		shares.variance += p * (1 - p) * float64(n)
		// One who is held out is so at every entry.
		if both := m.count(`SELECT COUNT(*) FROM (SELECT customer_id FROM enrolments WHERE scenario = $1 GROUP BY customer_id HAVING COUNT(DISTINCT CASE WHEN state = 'holdout' THEN 1 ELSE 0 END) > 1) x`, s.name); both > 0 {
			m.Errorf("%d are held out of %s only now and then", both, s.name)
		}
	}
}

func (h *holdoutShares) check(t *testing.T) {
	if off := math.Abs(h.held - h.expected); off > 5*math.Sqrt(h.variance) {
		t.Errorf("%.0f are held out, and %.1f were to be", h.held, h.expected)
	}
}

func tokyo(f *fixture) *time.Location {
	loc, err := time.LoadLocation("Asia/Tokyo")
	f.ok(err)
	return loc
}

func timeOfDay(f *fixture, text string) schedule.TimeOfDay {
	at, err := schedule.ParseTimeOfDay(text)
	f.ok(err)
	return at
}
