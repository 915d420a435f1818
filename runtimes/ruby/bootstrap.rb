# frozen_string_literal: true

# The main program of the Ruby runtimes: loads the handler, then asks the Runtime API for events and
# answers them.

require_relative 'kiln_runtime/client'
require_relative 'kiln_runtime/loop'

if ENV.key?('_KILN_WAIT_FD')
  require_relative 'kiln_runtime/waiting'
  KilnRuntime.wait(ENV['_KILN_WAIT_FD'].to_i)
end
KilnRuntime::Loop.new.run
