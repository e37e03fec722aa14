# Verifies SAML responses with ruby-saml, which checks signature, schema and everything that is said.
#
# A question is {"response" (base64), "issuer", "certificate" (PEM), "audience", "recipient"}; the answer
# {"refused": why or "", "nameID", "attributes"}.
require 'json'
begin
  require 'onelogin/ruby-saml'
rescue LoadError
  puts 'MISSING ruby-saml'
  exit
end

$stdout.sync = true
OneLogin::RubySaml::Attributes.single_value_compatibility = false

def settings(question)
  settings = OneLogin::RubySaml::Settings.new
  settings.soft = true
  settings.sp_entity_id = question['audience']
  settings.assertion_consumer_service_url = question['recipient']
  settings.idp_entity_id = question['issuer']
  settings.idp_cert = question['certificate']
  settings.security[:want_assertions_signed] = true
  settings
end

def answer(question)
  response = OneLogin::RubySaml::Response.new(question['response'], settings: settings(question))
  return { refused: response.errors.join('; ').then { |why| why.empty? ? 'no reason given' : why } } unless response.is_valid?

  { refused: '', nameID: response.nameid, attributes: response.attributes.attributes }
rescue StandardError => e # a document that it cannot read at all
  { refused: "#{e.class}: #{e.message}" }
end

puts 'READY'
$stdin.each_line do |line|
  number, question = JSON.parse(line)
  puts "ANSWER #{number} #{JSON.generate(answer(question))}"
end
