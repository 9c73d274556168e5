use super::*;

#[test]
fn every_provider_and_every_model_of_the_table_can_be_read() {
    let registry = Registry::embedded();
    for provider in registry.providers() {
        let row = registry.provider(provider).unwrap_or_else(|| panic!("{provider} is unreadable"));
        assert_eq!(row.id, provider);
        for model in registry.models(provider) {
            let found =
                registry.model(provider, model).unwrap_or_else(|| panic!("{provider}/{model} is not found"));
            assert_eq!(found.id, model);
        }
    }
}
