variable "name" {
  description = "Value of the tag Project that is counted."
  type        = string
}

variable "monthly_usd" {
  description = "Budget of a month, USD."
  type        = number
  validation {
    condition     = var.monthly_usd > 0
    error_message = "monthly_usd must be more than 0."
  }
}

variable "email" {
  description = "Who is told."
  type        = string
  validation {
    condition     = can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.email))
    error_message = "email must be a mail address."
  }
}
