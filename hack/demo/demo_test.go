// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"image/png"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/ingest"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func TestTheShopIsTheSameEachTime(t *testing.T) {
	a, b := newShop("http://shop", opening), newShop("http://shop", opening)
	for name, same := range map[string]bool{
		"customers": bytes.Equal(a.customersCSV(), b.customersCSV()),
		"orders":    bytes.Equal(ordersCSV(a.orders), ordersCSV(b.orders)),
		"products":  bytes.Equal(a.productsCSV(), b.productsCSV()),
	} {
		if !same {
			t.Errorf("%s differ from one time to the next", name)
		}
	}
	if len(a.customers) != howMany || len(a.products) != 60 || len(a.orders) < 2*howMany {
		t.Errorf("%d customers, %d products, %d orders", len(a.customers), len(a.products), len(a.orders))
	}
}

// What the demo says of a run's audience is worth something only if it is found in another way and
// comes out the same.
func TestCandidatesAreTheSegment(t *testing.T) {
	shop := newShop("http://shop", opening)
	clock := clocktesting.NewFakeClock(opening)
	st, err := store.Open(t.Context(), testenv.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, file := range []struct {
		kind string
		text []byte
	}{
		{"products", shop.productsCSV()},
		{"customers", shop.customersCSV()}, // before the orders, which would make rows for them
		{"orders", ordersCSV(shop.orders)},
	} {
		result, err := ingest.Run(t.Context(), st, namespace, file.kind, bytes.NewReader(file.text), ingest.CSV, ingest.Options{Clock: clock})
		if err != nil || result.Refused > 0 || result.New != result.Rows {
			t.Fatalf("%s: %+v, %v", file.kind, result, err)
		}
	}
	one := int32(1)
	spec := &crm.SegmentSpec{Match: crm.Match{All: []crm.NestedCondition{
		{Condition: crm.Condition{Orders: &crm.OrdersCondition{Count: crm.Count{Exactly: &one}}}},
		{Condition: crm.Condition{LastOrder: &crm.AgeCondition{OlderThan: "30d"}}},
		{Condition: crm.Condition{LastOrder: &crm.AgeCondition{Within: "180d"}}},
		{Condition: crm.Condition{Reachable: &crm.ReachableCondition{Channels: []crm.ChannelType{"email", "line", "sms"}}}},
	}}}
	refresher := &audience.Refresher{Store: st, Clock: clock}
	for run := range runs {
		clock.SetTime(slot(run))
		result, err := refresher.Refresh(t.Context(), namespace, "f2-candidates", spec, audience.Shop{Zone: tokyo})
		if err != nil {
			t.Fatal(err)
		}
		want := shop.candidates(clock.Now())
		if result.Members != int64(len(want)) || len(want) < 200 {
			t.Errorf("run %d: the segment has %d members, and %d are right", run, result.Members, len(want))
		}
	}
}

func TestPicturesDecode(t *testing.T) {
	for i := range forms {
		img, err := png.Decode(bytes.NewReader(picture(product{number: i*10 + 1})))
		if err != nil {
			t.Fatal(err)
		}
		if size := img.Bounds().Size(); size.X != pictureWidth || size.Y != pictureHeight {
			t.Errorf("form %d is %v", i, size)
		}
	}
}

func TestQuietIsWhenNoStepIsDue(t *testing.T) {
	for hour := range 48 {
		for _, luck := range []float64{0, 0.5, 0.999} {
			after := firstDay.Add(time.Duration(hour) * time.Hour)
			got := quiet(after, luck).In(tokyo)
			if h := got.Hour(); got.Before(after) || h >= 9 && h < 21 || got.Sub(after) > 26*time.Hour {
				t.Errorf("after %s it is %s", after, got)
			}
		}
	}
}
