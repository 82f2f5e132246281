mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name        = "trade-tx"
  monthly_usd = 1500
  email       = "me@example.com"
}

run "a_mail_before_and_when_the_money_is_gone" {
  assert {
    condition     = toset([for mail in aws_budgets_budget.this.notification : mail.notification_type]) == toset(["FORECASTED", "ACTUAL"])
    error_message = "one mail at the forecast, one at what was spent"
  }
  assert {
    condition     = alltrue([for mail in aws_budgets_budget.this.notification : mail.subscriber_email_addresses == toset(["me@example.com"])])
    error_message = "both go to the given address"
  }
  assert {
    condition     = one([for filter in aws_budgets_budget.this.cost_filter : join(",", filter.values) if filter.name == "TagKeyValue"]) == "user:Project$trade-tx"
    error_message = "only what carries the tag Project is counted"
  }
}

run "bad_values_are_refused_by_name" {
  command = plan
  variables {
    monthly_usd = 0
    email       = "me"
  }
  expect_failures = [var.monthly_usd, var.email]
}
