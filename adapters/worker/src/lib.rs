//! The adapter for Cloudflare Workers.
