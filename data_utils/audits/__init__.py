"""Whether a data set can be trusted: audits of its content and of its split, reports and contact sheets."""
