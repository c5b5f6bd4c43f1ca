package routing

// TableName is the nftables table that holds everything of ours.
const TableName = "coxswain"
