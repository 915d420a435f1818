# frozen_string_literal: true

# A start before the function is known: everything is loaded that needs no function, then the process
# blocks until it is told the function's variables.
module KilnRuntime
  # What handlers load. Loading a library twice costs nothing.
  COMMON = %w[
    date digest fileutils logger net/http openssl securerandom set socket stringio tempfile time uri zlib
  ].freeze

  # Returns when the process is as if it had just been started for the function.
  def self.wait(descriptor)
    COMMON.each do |name|
      require name
    rescue LoadError
      next # this Ruby was built without it
    end
    file = IO.for_fd(descriptor, 'rb')
    records = file.read.force_encoding(Encoding::UTF_8).split("\0")
    file.close
    # Nobody will come any more.
    exit!(0) if records.empty?
    ENV.replace(records.to_h { |record| record.split('=', 2) })
    Dir.chdir(ENV.fetch('LAMBDA_TASK_ROOT', '/var/task'))
    Gem.clear_paths if defined?(Gem)
  end
end
