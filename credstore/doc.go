// Package credstore keeps credentials by name: encrypted at rest, deployed from files in SAP's terms, and turned into token
// sources and HTTP clients.
//
// Use this when a program has more than one or two credentials, when operators rather than developers know the secrets,
// when a user's authorization must outlive the process, or when several processes share credentials. For one client id
// and secret in a program of your own, package clientcredentials alone is enough.
//
//	store, err := credstore.OpenDir("/var/lib/acme/credentials", nil)
//	...
//	artifacts, err := credstore.LoadArtifacts(file)
//	for _, a := range artifacts {
//		err = store.Deploy(ctx, a)
//	}
//	client, err := store.Client(ctx, "S4_ORDERS")
//
// # What is where
//
// [Store.Deploy] takes an [Artifact]; [Store.TokenSource], [Store.UserSource], [Store.Client] and [Store.SecureParameter]
// give what it is good for; [Store.List] tells how all are doing, [Store.History] what has happened to one, and [Store.Try]
// whether it works. An authorization code is authorized in the browser by [Store.AuthorizeHandler] and [Store.CallbackHandler],
// and kept alive by [Store.Run]. Package credstore/console is a web page for all of that.
//
// [OpenDir] is the embedded default: a folder of encrypted files that several processes of one user may share. [Open] takes
// any other backend ([driver.Store]) and a [Keeper] for its key, such as a key management service.
//
// A backup that is restored brings refresh tokens back that were spent since; where each is good for one use, users have to
// authorize again. Stop the processes before: one that goes on may seal with a key that the backup lacks.
package credstore
