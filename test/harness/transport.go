package harness

import (
	"net/http"
	"net/http/httptest"
)

// handlerTransport answers requests by calling a handler.
type handlerTransport struct{ http.Handler }

func (t handlerTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	if request.Body == nil {
		request.Body = http.NoBody
	}
	t.ServeHTTP(recorder, request)
	response := recorder.Result()
	response.Request = request
	return response, nil
}
