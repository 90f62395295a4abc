module pintle-go

go 1.24
