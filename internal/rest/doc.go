// Package rest makes single HTTP requests to a workspace: it takes a request and gives the body of an answer that is 200,
// or an error that says what happened and whether another try can help. Nothing is tried again here, and no redirect is
// followed: what a request carries goes nowhere but where the user sent it.
//
// No error contains a secret that the request carries, also where the server echoes it.
package rest
