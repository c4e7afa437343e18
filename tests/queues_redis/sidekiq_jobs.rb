# Jobs of Sidekiq, in the queue `default` of the server in the first argument.

require 'sidekiq'

url = { url: ENV.fetch('SIDEKIQ_SERVER') }
Sidekiq.configure_client { |config| config.redis = url }
Sidekiq.configure_server do |config|
  config.redis = url
  # Rather than after 15 s.
  config.options[:poll_interval_average] = 600
  config.options[:average_scheduled_poll_interval] = 600
end
Redis.silence_deprecations = true
Sidekiq.logger.level = Logger::FATAL

class Nothing
  include Sidekiq::Worker
  def perform; end
end

class Fails
  include Sidekiq::Worker
  sidekiq_retry_in { 600 }
  def perform
    raise 'as asked'
  end
end

class FailsForGood < Fails
  sidekiq_options retry: 0
end

class Hangs
  include Sidekiq::Worker
  def perform
    sleep 600
  end
end

# `work` loads this file for its jobs.
if $PROGRAM_NAME == __FILE__
  if ARGV == ['work']
    require 'sidekiq/cli'
    # It ends with whoever started it, if nothing else ends it.
    Thread.new { $stdin.read; exit! }
    cli = Sidekiq::CLI.instance
    cli.parse(['-r', __FILE__, '-c', '1', '-t', '1', '-q', 'default'])
    cli.run
    exit
  end
  $stdout.sync = true
  while (line = $stdin.gets)
    command, name, word = line.split
    job = Object.const_get(name)
    case command
    when 'push' then job.perform_async
    when 'delay' then job.perform_in(word.to_f)
    when 'other' then job.set(queue: 'other').perform_in(word.to_f)
    end
    puts 'done'
  end
end
