package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/client"
)

// Hold two tickets, sell them, and find out why more are refused.
func Example() {
	address, stop := serve()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.New(client.Options{URL: address})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	request := &client.Request{Account: "alice", Lines: []client.Line{{Session: "ATH10", Category: "A", Quantity: 2}}}
	held, err := c.Reserve(ctx, request)
	if err != nil {
		log.Fatal(err) // call again with the same request to learn the outcome
	}
	fmt.Println(held.State, held.Tickets, "in", held.Phase)
	sold, err := c.Confirm(ctx, held.ID, "payment-4711")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sold.State, sold.Reference)

	request.ID, request.Lines[0].Quantity = "", 5 // another reservation
	_, err = c.Reserve(ctx, request)
	var refusal *client.Error
	if errors.As(err, &refusal) && refusal.Code == "session_limit_exceeded" {
		fmt.Println("at most", refusal.Count("limit"), "tickets of", refusal.Text("session"))
	}
	// Output:
	// held 2 in all-venues
	// confirmed payment-4711
	// at most 6 tickets of ATH10
}

// Keep the tickets while the bank takes its time, sell them, and give them back, first one and then the others.
func Example_changes() {
	address, stop := serve()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.New(client.Options{URL: address})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	request := &client.Request{Account: "alice", Lines: []client.Line{{Session: "ATH10", Category: "A", Quantity: 4}}}
	held, err := c.Reserve(ctx, request)
	if err != nil {
		log.Fatal(err)
	}
	held, err = c.Extend(ctx, held.ID, held.CreatedAt.Add(30*time.Minute))
	if err != nil {
		log.Fatal(err) // refused as hold_limit_exceeded, it is held until its present end
	}
	fmt.Println(held.State, "for", held.ExpiresAt.Sub(held.CreatedAt))
	// The payment may be late: if the hold has ended, its tickets are taken once more, if they can be.
	sold, err := c.ConfirmAgain(ctx, held.ID, "payment-4711")
	if err != nil {
		log.Fatal(err) // refused, the payment is to be refunded
	}
	fmt.Println(sold.State, sold.Tickets)
	sold, err = c.Reduce(ctx, sold.ID, []client.Line{{Session: "ATH10", Category: "A", Quantity: 3}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sold.State, sold.Tickets)
	returned, err := c.Return(ctx, sold.ID, "refund-4711")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(returned.State, returned.Reference)
	// Output:
	// held for 30m0s
	// confirmed 4
	// confirmed 3
	// returned refund-4711
}

// serve runs a server without a journal in this process.
func serve() (address string, stop func()) {
	sale := catalog.Paris2024()
	phase, _ := sale.PhaseByID("all-venues")
	opening := sale.Phases[phase].OpensAt
	e, err := engine.Open(context.Background(), engine.Options{Sale: sale, Durability: engine.None,
		Clock: saleclock.Virtual(func() time.Time { return opening })})
	if err != nil {
		log.Fatal(err)
	}
	s, err := server.New(context.Background(), server.Options{Engine: e})
	if err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		if err := s.Serve(ln); err != nil {
			log.Print(err)
		}
	}()
	return "http://" + ln.Addr().String(), func() {
		if err := errors.Join(s.Shutdown(context.Background()), e.Close()); err != nil {
			log.Print(err)
		}
	}
}
