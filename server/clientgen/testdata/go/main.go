// Command shop plays the life of a reservation with the client that oapi-codegen generates.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"

	"shop/seathold"
)

func main() {
	if err := play(context.Background(), os.Getenv("SEATHOLD_URL"), os.Getenv("SEATHOLD_KEY")); err != nil {
		log.Fatal(err)
	}
	fmt.Println("done")
}

// play reserves, confirms, releases, changes and reads, and compares what the client returns.
func play(ctx context.Context, url, key string) error {
	client, err := seathold.NewClientWithResponses(url, seathold.WithRequestEditorFn(
		func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+key)
			return nil
		}))
	if err != nil {
		return err
	}
	return errors.Join(sell(ctx, client), giveBack(ctx, client), change(ctx, client), refuse(ctx, client, url))
}

// request is a request for tickets of one session.
func request(id uuid.UUID, quantity int) seathold.ReservationRequest {
	return seathold.ReservationRequest{Id: &id, Account: "go-buyer",
		Lines: seathold.Lines{{Session: "ATH10", Category: "A", Quantity: quantity}}}
}

func sell(ctx context.Context, client *seathold.ClientWithResponses) error {
	id, reference := uuid.New(), "pay_1"
	held, err := client.ReserveWithResponse(ctx, request(id, 2))
	if err != nil {
		return err
	}
	if held.JSON201 == nil || held.JSON201.State != seathold.Held ||
		held.Headers201.Location != "/v1/reservations/"+id.String() {
		return fmt.Errorf("reserve: %s %s", held.Status(), held.Body)
	}
	again, err := client.ReserveWithResponse(ctx, request(id, 2))
	if err != nil {
		return err
	}
	if again.JSON200 == nil || !again.JSON200.ExpiresAt.Equal(held.JSON201.ExpiresAt) {
		return fmt.Errorf("repeated reserve: %s %s", again.Status(), again.Body)
	}
	sold, err := client.ConfirmWithResponse(ctx, id, seathold.Confirmation{Reference: &reference})
	if err != nil {
		return err
	}
	if sold.JSON200 == nil || sold.JSON200.ConfirmedAt == nil || *sold.JSON200.Reference != reference {
		return fmt.Errorf("confirm: %s %s", sold.Status(), sold.Body)
	}
	read, err := client.ReadReservationWithResponse(ctx, id)
	if err != nil {
		return err
	}
	if read.JSON200 == nil || read.JSON200.State != seathold.Confirmed {
		return fmt.Errorf("read: %s %s", read.Status(), read.Body)
	}
	account, err := client.ReadAccountWithResponse(ctx, "go-buyer")
	if err != nil {
		return err
	}
	if account.JSON200 == nil || account.JSON200.Programmes[0].Confirmed != 2 {
		return fmt.Errorf("account: %s %s", account.Status(), account.Body)
	}
	return nil
}

// giveBack holds and releases tickets in two batches.
func giveBack(ctx context.Context, client *seathold.ClientWithResponses) error {
	id := uuid.New()
	var reserve, release seathold.BatchOperation
	if err := errors.Join(
		reserve.FromReserveOperation(seathold.ReserveOperation{Id: &id, Account: "go-buyer", Lines: request(id, 1).Lines}),
		release.FromReleaseOperation(seathold.ReleaseOperation{Id: id}),
	); err != nil {
		return err
	}
	batch, err := client.BatchWithResponse(ctx,
		seathold.OperationList{Operations: []seathold.BatchOperation{reserve, release, release}})
	if err != nil {
		return err
	}
	if batch.JSON200 == nil || len(batch.JSON200.Results) != 3 {
		return fmt.Errorf("batch: %s %s", batch.Status(), batch.Body)
	}
	if held, back := batch.JSON200.Results[0], batch.JSON200.Results[1].Reservation; held.Status != 201 ||
		held.Reservation.State != seathold.Held || back == nil || back.State != seathold.Released {
		return fmt.Errorf("batch: %s", batch.Body)
	}
	return nil
}

// change replaces a hold, extends, sells, reduces and returns it.
func change(ctx context.Context, client *seathold.ClientWithResponses) error {
	old, id, reference, again := uuid.New(), uuid.New(), "refund_1", true
	end := time.Date(2023, 11, 30, 10, 30, 0, 0, time.UTC)
	if _, err := client.ReserveWithResponse(ctx, request(old, 1)); err != nil {
		return err
	}
	next := request(id, 2)
	next.Replaces = &old
	held, err := client.ReserveWithResponse(ctx, next)
	if err != nil {
		return err
	}
	if held.JSON201 == nil {
		return fmt.Errorf("replace: %s %s", held.Status(), held.Body)
	}
	extended, err := client.ExtendWithResponse(ctx, id, seathold.Extension{ExpiresAt: end})
	if err != nil {
		return err
	}
	if extended.JSON200 == nil || !extended.JSON200.ExpiresAt.Equal(end) {
		return fmt.Errorf("extend: %s %s", extended.Status(), extended.Body)
	}
	if _, err := client.ConfirmWithResponse(ctx, id, seathold.Confirmation{Again: &again}); err != nil {
		return err
	}
	reduced, err := client.ReduceWithResponse(ctx, id, seathold.Reduction{Lines: request(id, 1).Lines})
	if err != nil {
		return err
	}
	if reduced.JSON200 == nil || reduced.JSON200.State != seathold.Confirmed || reduced.JSON200.Tickets != 1 {
		return fmt.Errorf("reduce: %s %s", reduced.Status(), reduced.Body)
	}
	returned, err := client.ReturnTicketsWithResponse(ctx, id, seathold.Refund{Reference: &reference})
	if err != nil {
		return err
	}
	if returned.JSON200 == nil || returned.JSON200.State != seathold.Returned {
		return fmt.Errorf("return: %s %s", returned.Status(), returned.Body)
	}
	return changeInBatch(ctx, client, id)
}

// changeInBatch reduces a returned reservation, which is refused.
func changeInBatch(ctx context.Context, client *seathold.ClientWithResponses, id uuid.UUID) error {
	var more seathold.BatchOperation
	if err := more.FromReduceOperation(seathold.ReduceOperation{Id: id, Lines: request(id, 1).Lines}); err != nil {
		return err
	}
	batch, err := client.BatchWithResponse(ctx, seathold.OperationList{Operations: []seathold.BatchOperation{more}})
	if err != nil {
		return err
	}
	if batch.JSON200 == nil || batch.JSON200.Results[0].Problem == nil {
		return fmt.Errorf("batch: %s %s", batch.Status(), batch.Body)
	}
	problem, err := batch.JSON200.Results[0].Problem.ValueByDiscriminator()
	if err != nil {
		return err
	}
	if _, returned := problem.(seathold.ReservationReturnedProblem); !returned {
		return fmt.Errorf("batch: %+v", problem)
	}
	return nil
}

// refuse causes refusals, and reads their facts.
func refuse(ctx context.Context, client *seathold.ClientWithResponses, url string) error {
	many, err := client.ReserveWithResponse(ctx, request(uuid.New(), 7))
	if err != nil {
		return err
	}
	if many.ApplicationproblemJSON409 == nil {
		return fmt.Errorf("seven tickets: %s %s", many.Status(), many.Body)
	}
	problem, err := many.ApplicationproblemJSON409.ValueByDiscriminator()
	if err != nil {
		return err
	}
	if limit, ok := problem.(seathold.SessionLimitExceededProblem); !ok || limit.Limit != 6 || limit.Requested != 7 {
		return fmt.Errorf("seven tickets: %+v", problem)
	}
	anonymous, err := seathold.NewClientWithResponses(url)
	if err != nil {
		return err
	}
	phases, err := anonymous.ListPhasesWithResponse(ctx)
	if err != nil {
		return err
	}
	if phases.ApplicationproblemJSON401 == nil || phases.Headers401.WWWAuthenticate == "" {
		return fmt.Errorf("without a key: %s %s", phases.Status(), phases.Body)
	}
	return nil
}
