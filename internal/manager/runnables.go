// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/gateway"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// leading runs on the leader only, everywhere on all replicas.
type (
	leading    struct{ manager.RunnableFunc }
	everywhere struct{ manager.RunnableFunc }
)

// NeedLeaderElection keeps the engine to one replica.
func (leading) NeedLeaderElection() bool { return true }

// NeedLeaderElection lets each replica answer customers and providers.
func (everywhere) NeedLeaderElection() bool { return false }

// shopFor is how long a page believes what it read of a shop.
const shopFor = time.Minute

// shops reads what pages say about a shop, now and then.
func shops(r client.Reader) func(ns string) gateway.Shop {
	type known struct {
		shop  gateway.Shop
		until time.Time
	}
	var mu sync.Mutex
	cache := map[string]known{}
	return func(ns string) gateway.Shop {
		mu.Lock()
		defer mu.Unlock()
		if k, ok := cache[ns]; ok && time.Now().Before(k.until) {
			return k.shop
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		var m corev1.ConfigMap
		// A shop without a ConfigMap, or one that cannot be read now, has a page without its name.
		_ = r.Get(ctx, types.NamespacedName{Namespace: ns, Name: crm.ShopConfigMap}, &m)
		shop := gateway.Shop{Name: m.Data["name"], Language: m.Data["language"]}
		// Purposes that cannot be read are in the way of Scenarios, which say so.
		shop.Purposes, _ = journey.ReadPurposes(m.Data["purposes"])
		cache[ns] = known{shop, time.Now().Add(shopFor)}
		return shop
	}
}
