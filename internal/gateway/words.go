// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"strings"

	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// wording is what a page says in one language. {from} is "from the shop", {what} the channel's messages.
type wording struct {
	titles, texts        map[pageName]string
	button, undo, manage string
	from                 string
	what                 map[string]string
	anything             string // where the channel is not known
	preferences          map[string]string
	channels, boxes      map[string]string
	frequencies, notices map[string]string
	suppressed, language string
}

var wordings = map[string]wording{
	"en": {
		titles: map[pageName]string{
			pageAsk: "Unsubscribe?", pageDone: "You are unsubscribed", pageInvalid: "This link is not valid", pageLater: "Just a moment", pageUnread: "That could not be read",
		},
		texts: map[pageName]string{
			pageAsk:     "You will get no more {what}{from}.",
			pageDone:    "You will get no more {what}{from}. One that is already on its way may still arrive.",
			pageInvalid: "It may be incomplete. Please open it from the message again.",
			pageLater:   "That did not work just now. Please try again in a minute.",
			pageUnread:  "Nothing was changed. Please open the page from the message again.",
		},
		button: "Unsubscribe", undo: "It was a mistake: subscribe again", manage: "Choose what you get, and how often",
		from: " from {shop}", anything: "messages", language: "English",
		what: map[string]string{store.ChannelEmail: "emails", store.ChannelLINE: "LINE messages", store.ChannelSMS: "text messages"},
		preferences: map[string]string{
			"title": "Your messages", "lead": "Choose where and how often we write to you, and what about.",
			"frequency": "How often", "save": "Save", "none": "We have no address of yours, so we send you nothing.",
			"stop": "Stop everything", "stopText": "No more emails, LINE messages or text messages from us. You can change your mind on this page.",
			"stopButton": "Unsubscribe from everything",
		},
		channels: map[string]string{store.ChannelEmail: "Email", store.ChannelLINE: "LINE", store.ChannelSMS: "Text messages (SMS)"},
		boxes:    map[string]string{store.ChannelEmail: "Get emails", store.ChannelLINE: "Get LINE messages", store.ChannelSMS: "Get text messages"},
		frequencies: map[string]string{
			frequencyAll: "Whenever there is something", dispatch.FrequencyWeekly: "At most once a week",
			dispatch.FrequencyMonthly: "At most once a month", dispatch.FrequencyNone: "Nothing for now",
		},
		notices: map[string]string{
			noticeSaved: "Saved.", noticeStopped: "You are unsubscribed from everything.", noticeUndone: "You are subscribed again.",
		},
		suppressed: "Messages could not be delivered there, so we send none at present.",
	},
	"ja": {
		titles: map[pageName]string{
			pageAsk: "配信を停止しますか？", pageDone: "配信を停止しました", pageInvalid: "このリンクは無効です", pageLater: "しばらくお待ちください", pageUnread: "内容を読み取れませんでした",
		},
		texts: map[pageName]string{
			pageAsk:     "{from}{what}の配信を停止します。",
			pageDone:    "{from}{what}の配信を停止しました。行き違いで届く場合がありますが、ご了承ください。",
			pageInvalid: "リンクが途中で切れている可能性があります。お手数ですが、メッセージからもう一度開いてください。",
			pageLater:   "ただいま処理できませんでした。1分ほどしてから、もう一度お試しください。",
			pageUnread:  "設定は変わっていません。お手数ですが、メッセージからもう一度開いてください。",
		},
		button: "配信を停止する", undo: "間違えたので元に戻す", manage: "配信の内容や頻度を選ぶ",
		from: "{shop}からの", anything: "メッセージ", language: "日本語",
		what: map[string]string{store.ChannelEmail: "メール", store.ChannelLINE: "LINEメッセージ", store.ChannelSMS: "SMS"},
		preferences: map[string]string{
			"title": "配信設定", "lead": "お届けする方法と内容、頻度をお選びいただけます。",
			"frequency": "お届けの頻度", "save": "設定を保存する", "none": "ご登録の連絡先がないため、配信は行っていません。",
			"stop": "すべての配信を停止", "stopText": "メール、LINE、SMSの配信をすべて停止します。このページからいつでも元に戻せます。",
			"stopButton": "すべての配信を停止する",
		},
		channels: map[string]string{store.ChannelEmail: "メール", store.ChannelLINE: "LINE", store.ChannelSMS: "SMS（ショートメッセージ）"},
		boxes:    map[string]string{store.ChannelEmail: "メールを受け取る", store.ChannelLINE: "LINEメッセージを受け取る", store.ChannelSMS: "SMSを受け取る"},
		frequencies: map[string]string{
			frequencyAll: "お知らせがあるたびに", dispatch.FrequencyWeekly: "多くても週に1回",
			dispatch.FrequencyMonthly: "多くても月に1回", dispatch.FrequencyNone: "しばらく受け取らない",
		},
		notices: map[string]string{
			noticeSaved: "設定を保存しました。", noticeStopped: "すべての配信を停止しました。", noticeUndone: "配信を再開しました。",
		},
		suppressed: "この連絡先には届かなかったため、現在は送信していません。",
	},
}

func (w wording) say(text, shop, kind string) string {
	from, what := "", w.what[kind]
	if what == "" {
		what = w.anything
	}
	if shop != "" {
		from = strings.ReplaceAll(w.from, "{shop}", shop)
	}
	// One pass, so that a shop's name is never read as a placeholder.
	return strings.NewReplacer("{from}", from, "{what}", what).Replace(text)
}
