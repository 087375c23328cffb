"""Language models: how they are asked, what that costs, and how every answer is kept so that it is paid for once."""
